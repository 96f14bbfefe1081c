"""The session that there is at present, as services and the action find it."""

from std_msgs.msg import Header

from tam_ros.prompts import PromptError
from tam_ros.ros.image_tracking import ImageTracking
from tam_ros.ros.worker import Worker
from tam_ros.tracker.session import Session


class CurrentTracking:
    """What a node tracks with: it comes and goes with the transitions of the node.

    worker: has the session's thread; it alone asks for what is here. tracking: None while the
    node is not configured.
    """

    def __init__(self, worker: Worker):
        self.worker = worker
        self.tracking: ImageTracking | None = None

    @property
    def session(self) -> Session:
        """The session; raises PromptError, saying what to do, while there is none."""
        if self.tracking is None:
            raise PromptError('the tracker is unconfigured: configure and activate it first')
        return self.tracking.session

    @property
    def active_session(self) -> Session:
        """The session for what computes; raises PromptError while nothing may."""
        session = self.session
        if self.worker.is_paused:
            raise PromptError('the tracker is inactive: activate it first')
        return session

    @property
    def newest_header(self) -> Header:
        """The header of the newest frame; an empty one where there is none."""
        return Header() if self.tracking is None else self.tracking.newest_header
