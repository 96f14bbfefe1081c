"""What viewers of the page ask for, by the services of the tracker and of objects_3d."""

import asyncio
from functools import singledispatchmethod

from geometry_msgs.msg import Point
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from std_srvs.srv import Trigger

from tam_ros import srv
from tam_ros.ros.conversions import box_to_roi, ns_to_stamp
from tam_ros.web import commands
from tam_ros.web.site import Answer

PATIENCE_S = 60.0  # for an answer; a prompt waits for the frame in progress, which may be slow


class _NoAnswerError(RuntimeError):
    """A service has not answered; the text says why."""


class ServiceCalls:
    """Follows commands, each in the event loop that it comes from; the answers come by a node.

    target: the object that was last made the target from here; 0 where objects_3d chooses it.
    """

    def __init__(self, node: Node):
        group = MutuallyExclusiveCallbackGroup()

        def client(service_type, name: str) -> Client:
            full_name = node.resolve_service_name(name)  # for a viewer
            return node.create_client(service_type, full_name, callback_group=group)

        self._add_prompt = client(srv.AddPrompt, 'tam/add_prompt')
        self._remove = client(srv.RemoveObject, 'tam/remove_object')
        self._set_label = client(srv.SetLabel, 'tam/set_label')
        self._reset = client(Trigger, 'tam/reset')
        self._set_target = client(srv.SetTarget, 'tam/set_target')
        self.target = 0

    @property
    def can_target(self) -> bool:
        """Whether there is a node that has a target."""
        return self._set_target.service_is_ready()

    async def do(self, command: commands.Command) -> Answer:
        """Follow a command, and say what has become of it; see `Tracker`."""
        try:
            response = await self._follow(command)
        except _NoAnswerError as error:
            return Answer(False, str(error))
        return Answer(response.success, response.message)

    @singledispatchmethod
    async def _follow(self, command: commands.Command):
        raise TypeError(f'{command} is no command')

    @_follow.register
    async def _(self, command: commands.AddPrompt):
        request = srv.AddPrompt.Request(object_id=command.object_id)
        request.header.stamp = ns_to_stamp(command.stamp_ns)
        if command.point is not None:
            x, y, label = command.point
            request.points, request.point_labels = [Point(x=x, y=y)], [label]
        if command.box_xyxy is not None:
            request.box = box_to_roi(command.box_xyxy)
        return await _call(self._add_prompt, request)

    @_follow.register
    async def _(self, command: commands.Remove):
        return await _call(self._remove, srv.RemoveObject.Request(object_id=command.object_id))

    @_follow.register
    async def _(self, command: commands.SetLabel):
        request = srv.SetLabel.Request(object_id=command.object_id, label=command.label)
        return await _call(self._set_label, request)

    @_follow.register
    async def _(self, command: commands.Reset):
        return await _call(self._reset, Trigger.Request())

    @_follow.register
    async def _(self, command: commands.SetTarget):
        request = srv.SetTarget.Request(
            object_id=command.object_id, automatic=command.object_id == 0
        )
        response = await _call(self._set_target, request)
        if response.success:
            self.target = command.object_id
        return response


async def _call(client: Client, request):
    """Return a service's response; raises _NoAnswerError where none comes in time."""
    if not client.context.ok():
        raise _NoAnswerError('the page is about to end')
    if not client.service_is_ready():
        raise _NoAnswerError(f'nothing serves {client.srv_name}: is the tracker running?')
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    asked = client.call_async(request)
    asked.add_done_callback(lambda _: loop.call_soon_threadsafe(answered.set))
    try:
        await asyncio.wait_for(answered.wait(), PATIENCE_S)
    except asyncio.TimeoutError:
        raise _NoAnswerError(f'{client.srv_name} did not answer in {PATIENCE_S:g} s') from None
    finally:
        client.remove_pending_request(asked)
    return asked.result()
