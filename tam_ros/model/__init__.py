"""The networks in PyTorch, stateless; one file per part, named as in the papers.

Knows nothing of frames, objects, memory banks or ROS.
"""
