"""Tell whether a checkpoint would load into its network, where there is PyTorch to tell it."""

from pathlib import Path


def verify_checkpoint(model: str, path: Path) -> bool:
    """Read a checkpoint as strictly as loading does; return False without PyTorch.

    Raises CheckpointError, or EngineError for a model that there is not.
    """
    try:
        from tam_ros.engine.torch_engine import read_checkpoint
    except ModuleNotFoundError:
        return False
    read_checkpoint(model, path)
    return True
