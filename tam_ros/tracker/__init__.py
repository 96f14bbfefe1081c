"""Streaming tracking of prompted objects: session, memory bank, policies, object states.

Imports neither torch nor onnxruntime nor ROS; networks are reached through `engine.base`.
"""
