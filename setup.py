"""Install the ROS-free core with pip; a ROS workspace builds the whole package with colcon."""

from setuptools import find_packages, setup

setup(
    name='tam_ros',
    version='0.1.0',
    description='Promptable object tracking for robots with EdgeTAM',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(
        include=['tam_ros', 'tam_ros.*'], exclude=['tam_ros.ros', 'tam_ros.web']
    ),
    package_data={'tam_ros': ['embedded/*', 'offline/definitions/*/*']},
    install_requires=[
        'numpy>=1.21',
        'opencv-python-headless>=4.5',
        'pillow>=9.1',
        'scipy>=1.8',
        'tabulate>=0.8.9',
        'tqdm>=4.57',
    ],
    extras_require={
        'torch': ['torch>=2.1', 'safetensors>=0.4'],
        'onnx': ['onnxruntime>=1.18'],
        'onnx-gpu': ['onnxruntime-gpu>=1.18'],
        'bags': ['rosbags>=0.11'],
        'export': [
            'torch>=2.7',
            'safetensors>=0.4',
            'onnx>=1.17',
            'onnxscript>=0.3',
            'onnxruntime>=1.18',
        ],
    },
    entry_points={
        'console_scripts': [
            'tam_download_weights = tam_ros.download:main',
            'tam_export_onnx = tam_ros.engine.export_command:main',
            'tam_evaluate = tam_ros.evaluation.command:main',
            'tam_track_file = tam_ros.offline.command:main',
        ]
    },
)
