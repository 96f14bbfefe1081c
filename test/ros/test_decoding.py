"""Image messages to RGB: all encodings that are known, and whatever else a message may hold."""

import array
import io
import struct
import sys
import types
import zlib

import cv2
import numpy as np
import pytest
from camera_encodings import ENCODINGS, camera_message, encode, four_colors
from PIL import Image as Pillow
from robot import image_message
from sensor_msgs.msg import CompressedImage, Image

from tam_ros.ros import decoding
from tam_ros.ros.decoding import ImageError, ImageOptions, compressed_to_rgb, image_to_rgb

HUGE = 65_500


@pytest.mark.parametrize('padding', [0, 1, 7])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_image_is_decoded_to_rgb_whatever_its_padding(encoding, padding):
    scene = four_colors(grey=encoding.startswith('mono'))
    rgb = image_to_rgb(camera_message(scene, encoding, padding=padding))
    assert rgb.shape == scene.shape
    assert rgb.dtype == np.uint8
    off_by = np.abs(rgb.astype(int) - scene).max(axis=2)
    assert (off_by <= 3).mean() > 0.97  # but for mixed colours on the borders of the quarters


PACKED = ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16']


@pytest.mark.parametrize('encoding', PACKED)
@pytest.mark.parametrize('shape', [(1, 1), (3, 5), (7, 2)])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('is_bigendian', [False, True])
def test_packed_colors_are_decoded_exactly(frames, encoding, shape, padding, is_bigendian):
    scene = np.ascontiguousarray(frames[0][: shape[0], : shape[1]])
    message = camera_message(scene, encoding, padding=padding, is_bigendian=is_bigendian)
    assert (image_to_rgb(message) == scene).all()


@pytest.mark.parametrize(
    ('significant_bits', 'values', 'expected'),
    [
        (16, [0, 128, 257, 65_535], [0, 0, 1, 255]),
        (12, [0, 2048, 4095, 65_535], [0, 128, 255, 255]),
        (10, [0, 512, 1023, 1024], [0, 128, 255, 255]),
        (8, [0, 100, 255, 256], [0, 100, 255, 255]),
        (0, [7000, 7100, 7150, 7200], [0, 128, 191, 255]),
        (0, [5, 5, 5, 5], [0, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize('is_bigendian', [False, True])
def test_16_bits_are_scaled_by_those_that_count(significant_bits, values, expected, is_bigendian):
    pixels = np.repeat(np.array(values, np.uint16)[None], 200, axis=0)
    message = image_message(pixels.byteswap() if is_bigendian else pixels, 'mono16', padding=3)
    message.is_bigendian = int(is_bigendian)
    rgb = image_to_rgb(message, ImageOptions(significant_bits=significant_bits))
    assert np.abs(rgb[0, :, 0].astype(int) - expected).max() <= 1
    assert (rgb == rgb[:1, :, :1]).all()


def test_a_hot_pixel_does_not_decide_the_range():
    pixels = np.tile(np.array([7000, 7200], np.uint16), (240, 160))
    pixels[100, 100], pixels[10, 10] = 65_535, 0
    rgb = image_to_rgb(image_message(pixels, 'mono16'), ImageOptions(significant_bits=0))
    assert rgb[0, :2, 0].tolist() == [0, 255]


def test_depth_is_refused_unless_its_range_is_to_be_shown():
    message = image_message(np.tile(np.array([7000, 7200], np.uint16), (240, 160)), '16UC1')
    with pytest.raises(ImageError, match="'16UC1' .* means depth; .* set significant_bits to 0"):
        image_to_rgb(message)
    assert image_to_rgb(message, ImageOptions(significant_bits=0))[0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize(('alias', 'encoding'), [('8UC3', 'bgr8'), ('8UC1', 'mono8')])
def test_opencv_names_mean_what_opencv_means(frames, alias, encoding):
    pixels = encode(frames[0], encoding)
    aliased, plain = (image_to_rgb(image_message(pixels, name)) for name in (alias, encoding))
    assert (aliased == plain).all()


def test_last_row_may_lack_its_padding(frames):
    message = image_message(frames[0], 'rgb8', padding=8)
    message.data = message.data[:-8]
    assert (image_to_rgb(message) == frames[0]).all()


def test_step_of_zero_means_no_padding(frames):
    message = image_message(frames[0], 'rgb8')
    message.step = 0
    assert (image_to_rgb(message) == frames[0]).all()


def test_rgb8_is_a_view_of_the_message(frames):
    message = image_message(frames[0], 'rgb8', padding=4)
    assert np.shares_memory(image_to_rgb(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'encoding': '32FC1'}, "encoding '32FC1' cannot be tracked in: publish one of rgb8, "),
        ({'encoding': ''}, "encoding '' cannot be tracked in"),
        ({'data': array.array('B', b'123')}, '3 bytes: expected 230400'),
        ({'data': array.array('B')}, '0 bytes: expected 230400'),
        ({'step': 959}, 'with step 959 has 230400 bytes'),
        ({'height': 241}, 'image of 320x241 rgb8 .* expected 231360'),
        ({'width': 0}, 'image of 0x240 pixels is empty'),
        ({'height': 0}, 'image of 320x0 pixels is empty'),
        (
            {'width': 2**32 - 1},
            'image of 4294967295x240 pixels exceeds max_image_pixels, 36000000',
        ),
        ({'width': 1, 'height': 65_536}, 'image of 1x65536 pixels has a side of more than 65535'),
    ],
)
def test_image_that_cannot_be_read_is_named(frames, change, text):
    message = image_message(frames[0], 'rgb8')
    for field, value in change.items():
        setattr(message, field, value)
    with pytest.raises(ImageError, match=text):
        image_to_rgb(message)


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2'])
def test_yuv_of_odd_width_is_refused(encoding):
    message = image_message(np.full((4, 5, 2), 128, np.uint8), encoding)
    with pytest.raises(ImageError, match=f'image of 5x4 {encoding} cannot be converted'):
        image_to_rgb(message)


@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
@pytest.mark.parametrize('size_wh', [(4, 3), (3, 4), (1, 1)])
def test_half_resolved_chroma_needs_even_sides(encoding, size_wh):
    message = image_message(np.zeros((size_wh[1] * 2, size_wh[0]), np.uint8), encoding)
    message.height = size_wh[1]
    with pytest.raises(ImageError, match='is odd: its width and height must be even'):
        image_to_rgb(message)


def test_every_encoding_that_is_advised_is_decoded():
    with pytest.raises(ImageError) as refusal:
        image_to_rgb(Image(encoding='nv24', width=4, height=4))
    advised = str(refusal.value).partition('publish one of ')[2].split(', ')
    assert {'mono16', 'nv12', 'bayer_grbg16'} <= set(advised)
    for encoding in advised:
        message = Image(encoding=encoding, width=4, height=4, data=array.array('B', bytes(128)))
        assert image_to_rgb(message).shape == (4, 4, 3)


@pytest.fixture
def bridge(monkeypatch):
    """Install a module in place of cv_bridge, or, with None, none at all."""

    def install(module) -> None:
        decoding._cv_bridge.cache_clear()
        monkeypatch.setitem(sys.modules, 'cv_bridge', module)

    yield install
    decoding._cv_bridge.cache_clear()


def test_other_encodings_are_left_to_cv_bridge(bridge):
    class CvBridge:
        def imgmsg_to_cv2(self, msg, encoding):
            assert encoding == 'rgb8'
            return np.full((msg.height, msg.width, 3), 7, np.uint8)

    bridge(types.SimpleNamespace(CvBridge=CvBridge))
    assert (image_to_rgb(Image(encoding='rare', width=4, height=2)) == np.full((2, 4, 3), 7)).all()


@pytest.mark.parametrize('error', [RuntimeError, KeyError, AttributeError, SystemError])
def test_whatever_cv_bridge_raises_is_a_refusal(bridge, error):
    class CvBridge:
        def imgmsg_to_cv2(self, msg, encoding):
            raise error('numpy.core.multiarray failed')

    bridge(types.SimpleNamespace(CvBridge=CvBridge))
    with pytest.raises(ImageError, match="'rare' cannot be tracked in: publish one of rgb8"):
        image_to_rgb(Image(encoding='rare', width=4, height=2))


@pytest.mark.parametrize('answer', [None, np.zeros((2, 4)), np.zeros((2, 4, 3), np.float32)])
def test_what_cv_bridge_returns_is_checked(bridge, answer):
    class CvBridge:
        def imgmsg_to_cv2(self, msg, encoding):
            return answer

    bridge(types.SimpleNamespace(CvBridge=CvBridge))
    with pytest.raises(ImageError, match="'rare' cannot be tracked in"):
        image_to_rgb(Image(encoding='rare', width=4, height=2))


@pytest.mark.parametrize('module', [None, types.SimpleNamespace()])
def test_without_cv_bridge_only_its_encodings_are_refused(bridge, module):
    bridge(module)
    with pytest.raises(ImageError, match="'rare' cannot be tracked in: publish one of rgb8"):
        image_to_rgb(Image(encoding='rare', width=4, height=2))
    assert image_to_rgb(camera_message(four_colors(), 'rgb16')).shape == (240, 320, 3)


def compressed(data: bytes, format: str = 'jpeg') -> CompressedImage:  # noqa: A002
    return CompressedImage(format=format, data=array.array('B', data))


def encoded(suffix: str, pixels: np.ndarray, *flags: int) -> bytes:
    return cv2.imencode(suffix, pixels, flags)[1].tobytes()


@pytest.mark.parametrize(
    ('suffix', 'format', 'off_by'),
    [
        ('.png', 'png', 0),
        ('.png', 'rgb8; png compressed bgr8', 0),
        ('.jpg', 'rgb8; jpeg compressed bgr8', 4),
        ('.webp', 'webp', 4),
        ('.jpg', '', 4),
    ],
)
def test_compressed_image_is_decoded(suffix, format, off_by):  # noqa: A002
    scene = four_colors()
    rgb = compressed_to_rgb(compressed(encoded(suffix, scene[..., ::-1]), format))
    assert np.abs(rgb.astype(int) - scene)[:100, :140].max() <= off_by


@pytest.mark.parametrize(('bits', 'factor'), [(16, 257), (12, 16)])
@pytest.mark.parametrize('grey', [False, True])
def test_png_of_16_bits_is_scaled_like_other_images(bits, factor, grey):
    scene = four_colors(grey=grey)
    pixels = (scene[..., 0] if grey else scene[..., ::-1]).astype(np.uint16) * factor
    message = compressed(encoded('.png', pixels), 'mono16; png compressed ')
    rgb = compressed_to_rgb(message, ImageOptions(significant_bits=bits))
    assert np.abs(rgb.astype(int) - scene).max() <= 1
    message.format = '16UC1; png compressed '
    with pytest.raises(ImageError, match="'16UC1' cannot be tracked in: it means depth"):
        compressed_to_rgb(message)


def test_pixels_stay_where_the_sensor_has_them():
    jpeg = encoded('.jpg', four_colors()[..., ::-1])
    turned = bytes.fromhex(
        '45786966 0000 4d4d002a00000008 0001 0112 0003 00000001 0006 0000 00000000'
    )
    segment = b'\xff\xe1' + struct.pack('>H', len(turned) + 2) + turned
    message = compressed(jpeg[:2] + segment + jpeg[2:])
    assert compressed_to_rgb(message).shape == (240, 320, 3)


@pytest.mark.parametrize('data', [b'', b'no image', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'])
def test_compressed_image_that_is_none_is_named(data):
    what = f"of {len(data)} bytes and format 'jpeg' cannot be decoded: JPEG, PNG and WebP can"
    with pytest.raises(ImageError, match=what):
        compressed_to_rgb(compressed(data))


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack('>I', zlib.crc32(name + content))
    return struct.pack('>I', len(content)) + name + content + checksum


def png_of(width: int, height: int) -> bytes:
    """Return a small PNG that claims a size, with pixels that end early."""
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b'IDAT', zlib.compress(bytes(width * 3)))
    return b'\x89PNG\r\n\x1a\n' + header + pixels + chunk(b'IEND', b'')


def jpeg_of(width: int, height: int) -> bytes:
    """Return a small JPEG that claims a size."""
    jpeg = bytearray(encoded('.jpg', np.zeros((16, 16, 3), np.uint8)))
    at = jpeg.index(b'\xff\xc0') + 5
    jpeg[at : at + 4] = struct.pack('>HH', height, width)
    return bytes(jpeg)


@pytest.mark.parametrize(
    ('data', 'what'),
    [
        (png_of(HUGE, HUGE), 'exceeds max_image_pixels, 36000000: .*4290250000 pixels'),
        (jpeg_of(HUGE, HUGE), 'exceeds max_image_pixels, 36000000: .*4290250000 pixels'),
        (png_of(6001, 6000), 'image of 6001x6000 pixels exceeds max_image_pixels, 36000000'),
        (jpeg_of(6001, 6000), 'image of 6001x6000 pixels exceeds max_image_pixels, 36000000'),
        (png_of(1, 70_000), 'image of 1x70000 pixels has a side of more than 65535'),
    ],
    ids=['huge png', 'huge jpeg', 'large png', 'large jpeg', 'long png'],
)
def test_size_is_bounded_before_decoding(monkeypatch, data, what):
    monkeypatch.setattr(cv2, 'imdecode', None)  # nobody may come to call it
    with pytest.raises(ImageError, match=what):
        compressed_to_rgb(compressed(data))


def test_bound_on_the_size_is_an_option():
    data, options = encoded('.png', four_colors()), ImageOptions(max_image_pixels=320 * 240)
    assert compressed_to_rgb(compressed(data), options).shape == (240, 320, 3)
    options = ImageOptions(max_image_pixels=320 * 240 - 1)
    with pytest.raises(ImageError, match='320x240 pixels exceeds max_image_pixels, 76799'):
        compressed_to_rgb(compressed(data), options)
    with pytest.raises(ImageError, match='320x240 pixels exceeds max_image_pixels, 76799'):
        image_to_rgb(camera_message(four_colors(), 'rgb8'), options)


def jpeg_of_two_pictures() -> bytes:
    """Return a progressive JPEG with another behind it, which Pillow takes for an MPO."""
    picture, buffer = Pillow.fromarray(four_colors()), io.BytesIO()
    picture.save(buffer, 'MPO', progressive=True, save_all=True, append_images=[picture])
    return buffer.getvalue()


@pytest.mark.parametrize(
    'jpeg',
    [encoded('.jpg', four_colors(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), jpeg_of_two_pictures()],
    ids=['one picture', 'two pictures'],
)
def test_jpeg_of_endless_scans_is_refused(jpeg):
    assert compressed_to_rgb(compressed(jpeg)).shape == (240, 320, 3)
    end = jpeg.index(b'\xff\xd9')  # of the first picture
    last = jpeg.rindex(b'\xff\xda', 0, end)
    scans = jpeg[:last] + jpeg[last:end] * 100 + jpeg[end:]
    with pytest.raises(ImageError, match='has more than 64 scans'):
        compressed_to_rgb(compressed(scans))


def test_png_that_claims_more_than_it_holds_is_refused_before_decoding(monkeypatch):
    png = bytearray(encoded('.png', four_colors()))
    at = png.index(b'IDAT') - 4
    png[at : at + 4] = struct.pack('>I', 2**31 - 1)
    monkeypatch.setattr(cv2, 'imdecode', None)  # which would take 2 GiB
    with pytest.raises(ImageError, match='cannot be decoded: it is cut or damaged'):
        compressed_to_rgb(compressed(bytes(png)))


# -- damage ---------------------------------------------------------------------------------


def flipped(rng, data: bytes, end: int | None = None) -> bytes:
    """Change up to eight bytes of some data, before an end."""
    damaged = bytearray(data)
    for at in rng.integers(0, end or len(data), 8):
        damaged[at] = rng.integers(256)
    return bytes(damaged)


DAMAGES = {
    'bytes': flipped,
    'bytes of the header': lambda rng, data: flipped(rng, data, 64),
    'cut': lambda rng, data: data[: rng.integers(len(data))],
    'hole': lambda rng, data: data[: (at := rng.integers(len(data)))] + data[at + 9 :],
    'doubled': lambda rng, data: data[: rng.integers(len(data))] + data,
}


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
def test_damaged_file_is_an_image_or_an_image_error(suffix, damage):
    data = encoded(suffix, four_colors()[60:180:3, 100:220:3, ::-1])
    rng = np.random.default_rng(0)
    decoded = 0
    for _ in range(150):
        try:
            rgb = compressed_to_rgb(compressed(DAMAGES[damage](rng, data)))
        except ImageError:
            continue
        decoded += 1
        assert rgb.dtype == np.uint8
        assert rgb.shape[2] == 3
        assert rgb.shape[0] * rgb.shape[1] <= ImageOptions.max_image_pixels
    assert decoded < 150


FIELDS = {
    'width': [0, 1, 3, 5, 2**16, 2**32 - 1],
    'height': [0, 1, 3, 7, 2**16, 2**32 - 1],
    'step': [0, 1, 11, 13, 2**31, 2**32 - 1],
    'is_bigendian': [1, 2, 255],
    'encoding': ['', 'rgb8', 'mono16', 'nv12', '16UC1', '64FC4', 'bayer_rggb16', '\ufffd' * 999],
    'data': [b'', b'1', bytes(11), bytes(4096)],
}


@pytest.mark.parametrize('encoding', [*ENCODINGS, '16UC3', 'uyvy', 'nv24', '32FC1'])
def test_damaged_message_is_an_image_or_an_image_error(encoding):
    rng = np.random.default_rng(1)
    options = [ImageOptions(), ImageOptions(significant_bits=0)]
    for i in range(150):
        message = Image(encoding=encoding, width=4, height=6, data=array.array('B', bytes(192)))
        for field in rng.choice(list(FIELDS), rng.integers(1, 4), replace=False):
            value = FIELDS[field][rng.integers(len(FIELDS[field]))]
            setattr(message, field, array.array('B', value) if field == 'data' else value)
        try:
            rgb = image_to_rgb(message, options[i % 2])
        except ImageError:
            continue
        assert rgb.shape == (message.height, message.width, 3)
        assert rgb.dtype == np.uint8
