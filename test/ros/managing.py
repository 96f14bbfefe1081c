"""A lifecycle manager under test: it asks a tracker's node for transitions, and for its state."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from tracker import Tracker

UNCONFIGURED, INACTIVE = State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE
ACTIVE, FINALIZED = State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_FINALIZED
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}


class Manager:
    """Manages the node of a tracker, as Nav2's lifecycle manager does: by ids, and by states."""

    def __init__(self, tracker: Tracker):
        self._tracker = tracker
        self.reports = tracker.robot.record(DiagnosticArray, '/diagnostics')

    def change(self, *names: str) -> list[bool]:
        """Ask for transitions, one after the other; return which were done."""
        return [self._change(Transition(id=TRANSITIONS[name])) for name in names]

    def change_by_label(self, label: str) -> bool:
        """Ask for a transition as `ros2 lifecycle set` does; return whether it was done."""
        return self._change(Transition(label=label))

    def _change(self, transition: Transition) -> bool:
        request = ChangeState.Request(transition=transition)
        return self._tracker.call(ChangeState, 'change_state', request).success

    @property
    def state(self) -> int:
        """The state that the node says it is in."""
        return self._tracker.call(GetState, 'get_state').current_state.id

    def wait_for_report(self, text: str) -> DiagnosticStatus:
        """Return the first diagnostics from now on whose message holds a text."""
        self.reports.clear()

        def found() -> DiagnosticStatus | None:
            statuses = (report.status[0] for report in self.reports)
            return next((status for status in statuses if text in status.message), None)

        return self._tracker.robot.wait(found, f'diagnostics with {text!r}')


def value_of(status: DiagnosticStatus, key: str) -> str:
    """Return one of the values of diagnostics."""
    return next(v.value for v in status.values if v.key == key)
