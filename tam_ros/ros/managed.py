"""A managed node: what each transition does, and what becomes of one that cannot be done.

rclpy leaves three things to its users: a transition that the state does not have would end the
process, what a callback raises is dropped without a word, and while one runs nothing is answered.
"""

import threading
from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from tam_ros.ros.bond import Bond
from tam_ros.ros.ending import end_by_failure
from tam_ros.ros.start import StartError
from tam_ros.weights import DownloadError

REFUSALS = (ValueError, DownloadError, ParameterException)  # of a value; its text tells the user
SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)


class ManagedNode(LifecycleNodeMixin, Node):
    """A lifecycle node; who derives from it says what `configure` and the other three do.

    These raise ValueError, DownloadError or ParameterException for what a user can put right: the
    transition fails then, and the state is as before. Whatever else they raise ends the node.

    problem: why the last transition failed, '' where it did not. failure: what ended the node;
    None while all is well. is_starting: whether it is still on its way to active by itself.
    """

    def __init__(self, name: str):
        Node.__init__(self, name)
        self.problem = ''
        self.failure: BaseException | None = None
        self.is_starting = False
        self._bond: Bond | None = None
        self._one_at_a_time = threading.Lock()  # transitions
        # States are told while a transition lasts.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._answer_change = self._service_change_state.callback
        self._service_change_state.callback = self._change_state

    @property
    def state(self) -> str:
        """The label of its state, such as 'inactive' or 'configuring'."""
        return self._state_machine.current_state[1]

    def start_by_itself(self) -> None:
        """Configure and activate once it is spun; what cannot be done ends the node."""
        self.is_starting = True
        # Not in ROS time, which may stand still.
        self._start_timer = self.create_timer(
            0.0,
            self._start,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def bond_with_its_manager(self) -> None:
        """Let who activates it know that it lives."""
        self._bond = Bond(self)

    def end_by(self, error: BaseException) -> None:
        """End the node by a failure."""
        end_by_failure(self, error)

    def destroy_node(self) -> None:
        """Destroy the node, and what of its state machine would have others believe in it."""
        self._state_machine.destroy_when_not_in_use()
        super().destroy_node()

    # -- what transitions do ----------------------------------------------------------------

    def configure(self) -> None:
        """Load what is needed; from unconfigured to inactive."""

    def activate(self) -> None:
        """Begin to work; from inactive to active."""

    def deactivate(self) -> None:
        """Stop working; from active to inactive."""

    def cleanup(self) -> None:
        """Free what `configure` has loaded; from inactive to unconfigured."""

    def announce(self) -> None:
        """Tell others of a change of state."""

    # -- how they are done ------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Carry out `configure`."""
        return self._carry_out(super().on_configure, state, self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let publishers speak, then carry out `activate`."""
        done = self._carry_out(super().on_activate, state, self.activate)
        if done != SUCCESS:
            super().on_deactivate(state)
        elif self._bond is not None:
            self._bond.form()
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Carry out `deactivate`, then silence the publishers."""
        done = self._carry_out(None, state, self.deactivate)
        super().on_deactivate(state)
        if self._bond is not None:
            self._bond.end()
        return done

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Carry out `cleanup`."""
        return self._carry_out(super().on_cleanup, state, self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back from a state step by step, for good."""
        if state.label == 'active' and self.on_deactivate(state) != SUCCESS:
            return ERROR
        return SUCCESS if state.label == 'unconfigured' else self.on_cleanup(state)

    def _carry_out(
        self, entities: Callable | None, state: LifecycleState, step: Callable[[], None]
    ) -> TransitionCallbackReturn:
        try:
            if entities is not None:
                entities(state)
            step()
        except REFUSALS as error:
            self.problem = str(error)
            if not self.is_starting:  # else the process says it as it ends
                self.get_logger().error(self.problem)
            return FAILURE
        except BaseException as error:  # noqa: BLE001 - rclpy would drop it
            self.end_by(error)
            return ERROR
        self.problem = ''
        return SUCCESS

    def _change_state(self, request, response):
        """Answer the service; a transition that there is not from here is refused."""
        if not self._one_at_a_time.acquire(blocking=False):
            return self._refuse_change(request, response)
        try:
            response = self._answer_change(request, response)
        except RuntimeError:  # the base of all that rcl raises
            return self._refuse_change(request, response)
        finally:
            self._one_at_a_time.release()
        self.announce()
        return response

    def _refuse_change(self, request, response):
        wanted = request.transition.label or f'with id {request.transition.id}'
        self.get_logger().warning(f'transition {wanted} refused: the node is {self.state}')
        response.success = False
        return response

    def _start(self) -> None:
        self._start_timer.cancel()
        with self._one_at_a_time:
            if self.state == 'unconfigured' and not self._configure_and_activate():
                self.end_by(StartError(self.problem))
                return
        self.is_starting = False

    def _configure_and_activate(self) -> bool:
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != SUCCESS:
                return False
            self.announce()
        return True
