"""The names of the graphs that a network is exported to, and of what they decode to."""

ENCODE_IMAGE = 'encode_image'
ATTEND_MEMORY = 'attend_memory'
ATTEND_FIRST = 'attend_first'  # a single memory, of networks that pool only several
DECODE_MASK = 'decode_mask'  # of objects that are tracked, without prompts
DECODE_PROMPT = 'decode_prompt'  # of objects that have no memory yet
DECODE_PROMPT_TRACKED = 'decode_prompt_tracked'
POINT_FROM_MASK = 'point_from_mask'
ENCODE_MEMORY = 'encode_memory'
WRITE_ROWS = 'write_rows'  # into a store

# Without these there is no network.
REQUIRED = {ENCODE_IMAGE, ATTEND_MEMORY, DECODE_MASK, DECODE_PROMPT, DECODE_PROMPT_TRACKED}
REQUIRED |= {POINT_FROM_MASK, ENCODE_MEMORY, WRITE_ROWS}

DECODED = ('logits', 'iou', 'score', 'pointer', 'candidate_logits', 'candidate_ious')
