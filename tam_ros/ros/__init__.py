"""The ROS side: nodes, message conversions, parameters, drawing. Only this folder knows ROS."""
