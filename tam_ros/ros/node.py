"""The tracker node: a camera topic and prompts in, masks and boxes with stable ids out.

Callbacks only pass things on; decoding, tracking and publishing happen in one worker thread, so
services and parameters answer while a frame is worked on.
"""

from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tam_ros.engine.allocation import resident_mb
from tam_ros.engine.base import Engine
from tam_ros.engine.load import EngineChoice, free_memory, load_engine
from tam_ros.ros.current import CurrentTracking
from tam_ros.ros.diagnostics import state_message
from tam_ros.ros.discovery import DiscoveryService
from tam_ros.ros.image_tracking import ImageTracking
from tam_ros.ros.managed import ManagedNode
from tam_ros.ros.notices import Notices
from tam_ros.ros.outputs import Outputs
from tam_ros.ros.parameters import NodeOptions, declare_parameters, read_options
from tam_ros.ros.services import ObjectServices
from tam_ros.ros.track_action import TrackAction
from tam_ros.ros.worker import Worker
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import make_policy
from tam_ros.tracker.results import FrameResult
from tam_ros.tracker.session import Session
from tam_ros.weights import REPRODUCIBLE

STOP_TIMEOUT_S = 1.0
DIAGNOSTICS_PERIOD_S = 1.0


@dataclass(frozen=True)
class _Interface:
    """What a node offers others once it has been configured."""

    outputs: Outputs
    """Its publishers."""
    services: ObjectServices
    """Its services, and the topic of clicks."""
    action: TrackAction
    """Its action."""


class TrackerNode(ManagedNode):
    """Tracks prompted objects in a camera topic; docs/interface.md describes its interface.

    engine: to track with, in place of the one that the parameters choose. Raises ValueError,
    naming a parameter's value that is not allowed.
    """

    def __init__(self, *, engine: Engine | None = None):
        super().__init__('tam')
        declare_parameters(self, why_fixed=self._why_fixed)
        self._given_engine = engine
        self._starting = ''  # what is loaded
        self._interface: _Interface | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._notices = Notices(self.get_logger().warning)
        self._worker: Worker[Image | CompressedImage] = Worker(self._process, self.end_by)
        self._current = CurrentTracking(self._worker)
        self._worker.pause()
        self._worker.start()
        # Not in ROS time, which may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self.announce, clock=steady)
        if read_options(self, NodeOptions).autostart:
            self.start_by_itself()
        else:
            self.bond_with_its_manager()

    def stop(self) -> None:
        """End the worker thread, or give up waiting for it; of what it loads, nothing is left."""
        self._worker.stop(0.0 if self.is_starting else STOP_TIMEOUT_S)

    def destroy_node(self) -> None:
        """Destroy the node and its action, which would have others believe in it."""
        if self._interface is not None:
            self._interface.action.destroy()
        super().destroy_node()

    def _why_fixed(self) -> str:
        """Return why parameters that are not live may not change, '' while they may."""
        if self.state == 'unconfigured':
            return ''
        return f'can change while the node is unconfigured only: it is {self.state}'

    # -- transitions ------------------------------------------------------------------------

    def configure(self) -> None:
        """Load the network, which may last, and offer topics and services.

        In the worker: only one thread may ever compute (see `TorchEngine`), or a frame takes half
        as long again.
        """
        self._starting = self._what_starts()
        self.announce()
        self.get_logger().info(f'starting: {self._starting}')
        engine, session = self._worker.submit(self._load).result()
        # It stays from then on: a service that goes may have a caller at that moment.
        self._interface = self._interface or self._offer_interface()
        self._current.tracking = ImageTracking(
            self, self._worker, self.publish, self._notices, engine=engine, session=session
        )

    def activate(self) -> None:
        """Listen to the camera, and to prompts."""
        tracking, interface = self._configured()
        topic = tracking.open()
        interface.services.open()
        self._worker.resume()
        spec = tracking.engine.spec
        self.get_logger().info(
            f'ready: {spec.model} at {spec.image_size} px on {spec.device} ({spec.runtime}), '
            f'listening to {topic}'
        )

    def deactivate(self) -> None:
        """Listen no more, and wait until the frame in progress is published; objects are kept."""
        tracking, interface = self._configured()
        self._worker.pause()
        interface.services.close()
        tracking.close()
        self._worker.submit(tracking.forget_what_waits).result()
        self._worker.submit(interface.action.stop).result()
        self.get_logger().info(f'paused: {len(tracking.session.tracked)} objects are kept')

    def cleanup(self) -> None:
        """Forget the objects, and free the network."""
        self._current.tracking = None
        self._worker.submit(free_memory).result()
        self.get_logger().info('the network is freed')

    def announce(self) -> None:
        """Publish how the node is doing, once a second and with every change of state."""
        self._notices.say_due()
        tracking = self._current.tracking
        if self.state == 'active' and tracking is not None:
            self._diagnostics.publish(tracking.diagnostics())
            return
        message = state_message(
            self.get_fully_qualified_name(),
            self.get_clock().now().to_msg(),
            self.state,
            starting=self._starting,
            problem=self.problem,
            resident_memory_mb=f'{resident_mb():.0f}',
        )
        self._diagnostics.publish(message)

    def _configured(self) -> tuple[ImageTracking, '_Interface']:
        tracking, interface = self._current.tracking, self._interface
        assert tracking is not None  # by the state of a managed node
        assert interface is not None
        return tracking, interface

    # -- set-up -----------------------------------------------------------------------------

    def _what_starts(self) -> str:
        engine = self._given_engine
        if engine is not None:
            return f'{engine.spec.model} on {engine.spec.device}, as given'
        choice = read_options(self, EngineChoice)
        return f'{choice.model} with {choice.resolved_engine} on {choice.device}'

    def _load(self) -> tuple[Engine, Session]:
        engine = self._given_engine or self._load_engine()
        memory = read_options(self, MemoryOptions)
        session = Session(
            engine,
            read_options(self, SessionOptions),
            max_objects=memory.max_objects,
            max_prompted_frames=memory.max_prompted_frames,
            policy=make_policy(memory.memory_policy),
        )
        session.warm_up()
        return engine, session

    def _load_engine(self) -> Engine:
        engine = load_engine(read_options(self, EngineChoice))
        if engine.spec.weights == REPRODUCIBLE:
            self.get_logger().warning('untrained weights, made by rule: the masks mean nothing')
        return engine

    def _offer_interface(self) -> '_Interface':
        DiscoveryService(self, self._current)
        return _Interface(
            Outputs(self, self._notices.warn),
            ObjectServices(self, self._current, self._notices.warn),
            TrackAction(self, self._current),
        )

    # -- in the worker thread ---------------------------------------------------------------

    def _process(self, msg: Image | CompressedImage) -> None:
        tracking, _ = self._configured()
        tracking.process(msg)

    def publish(self, frame: FrameResult, image_rgb: np.ndarray, header: Header) -> None:
        """Publish what was found in an (H, W, 3) image, under its header, and tell the goals."""
        tracking, interface = self._configured()
        interface.outputs.publish(frame, image_rgb, header, tracking.session.options)
        interface.action.follow(frame, header)
