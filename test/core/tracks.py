"""A short track with every kind of prompt, and whether two of them are the same."""

import numpy as np

from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

TOLERANCE = 1.5e-3  # 1.1e-3 was seen with ONNX Runtime 1.23, less with newer ones


def track(engine, frames, *, third=((200, 60), (210, 70))) -> list[dict[int, np.ndarray]]:
    """Prompt as users do, some of it late; return the logits of every object, frame by frame.

    third: where a third object is clicked on, and what is clicked away from it.
    """
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    prompts = {
        0: [({'prompt': Prompt([(90, 110)])}), ({'prompt': Prompt(mask=mask)})],
        2: [({'prompt': Prompt([third[0]])})],
        3: [({'prompt': Prompt([third[1]], [0]), 'object_id': 3})],
        4: [({'prompt': Prompt(box_xyxy=(60, 80, 150, 150)), 'object_id': 2})],
    }
    session, logits = Session(engine), []
    for t, image in enumerate(frames):
        session.step(image, t)
        for arguments in prompts.get(t, []):
            session.add_prompt(**arguments)
        logits.append({result.object_id: result.logits for result in session.objects})
    return logits


def assert_same_logits(actual, expected) -> None:
    for t, (a, b) in enumerate(zip(actual, expected)):
        assert a.keys() == b.keys()
        for key in a:
            difference = np.abs(a[key] - b[key]).max()
            assert difference < TOLERANCE, f'object {key} in frame {t}: {difference}'
