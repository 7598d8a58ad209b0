"""Writes pictures/ beside this file: made-up pictures in the formats that posters come in, and
what Pillow makes of them on the way to CLIP: RGB, what is transparent laid on white by transformers,
the shorter side 224 bicubic, the centre cut out.

    pip install pillow numpy transformers && python make_pictures.py
"""

import io
import os
import struct

import numpy as np
from PIL import Image, ImageDraw
from transformers.image_transforms import convert_to_rgb

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pictures")
os.makedirs(out, exist_ok=True)


def scene(width, height):
    """Soft colours under sharp edges, where decoders and filters differ most."""
    y, x = np.mgrid[0:height, 0:width]
    soft = np.stack([x * 255 / width, y * 255 / height, 255 - (x + y) * 255 / (width + height)], -1)
    picture = Image.fromarray(soft.astype("uint8"))
    draw = ImageDraw.Draw(picture)
    random = np.random.default_rng(width)
    for _ in range(40):
        left, top = random.integers(0, width), random.integers(0, height)
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        draw.rectangle([left, top, left + width // 9, top + height // 30], fill=colour)
    return picture


def clear(picture):
    """More transparent to the right, in steps, and wholly so at the edge."""
    width, height = picture.size
    alpha = np.tile(np.clip(280 - np.arange(width) * 300 // width, 0, 255), (height, 1))
    picture.putalpha(Image.fromarray(alpha.astype("uint8")))
    return picture


def animated(picture):
    """The picture, then others; those who look at one frame look at the first."""
    return dict(save_all=True, append_images=[picture.rotate(90), picture.rotate(180)])


def bmp_in_runs(picture):
    """A BMP of a palette in run-length encoding, which Pillow reads and does not write."""
    width, height = picture.size
    rows = np.asarray(picture)[::-1]
    data = bytearray()
    for row in rows.tolist():
        at = 0
        while at < width:
            run = next((n for n in range(1, min(width - at, 255)) if row[at + n] != row[at]), 0)
            run = run or min(width - at, 255)
            if run == 1 and width - at >= 4:
                # As they are, filled up to an even number of bytes.
                data += bytes([0, 3, *row[at : at + 3], 0])
                run = 3
            else:
                data += bytes([run, row[at]])
            at += run
        data += bytes([0, 0])
    data += bytes([0, 1])
    palette = np.zeros((256, 4), "uint8")
    colours = np.array(picture.getpalette(), "uint8").reshape(-1, 3)
    palette[: len(colours), :3] = colours[:, ::-1]
    start = 14 + 40 + palette.nbytes
    head = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return head + about + palette.tobytes() + bytes(data)


def without_its_last_passes(picture, options):
    """A progressive JPEG that was cut off and ended: what comes late in it is missing."""
    whole = io.BytesIO()
    picture.save(whole, "JPEG", **options)
    return whole.getvalue()[: len(whole.getvalue()) // 2] + b"\xff\xd9"


def prepared(path):
    """What CLIP's recipe makes of a picture."""
    picture = Image.fromarray(convert_to_rgb(Image.open(path), return_numpy=True))
    width, height = picture.size
    short = 224
    size = (short, int(short * height / width))
    if width > height:
        size = (int(short * width / height), short)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    resized = picture.resize(size, Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + 224, top + 224))


pictures = {
    "poster.jpg": (scene(200, 300), dict(quality=85, progressive=True, subsampling="4:2:0")),
    "wide.jpg": (scene(640, 410), dict(quality=80, subsampling="4:2:2")),
    "grey.jpg": (scene(185, 278).convert("L"), dict(quality=90)),
    "small.png": (scene(90, 60), {}),
    "clear.png": (clear(scene(60, 80)), {}),
    "grey-clear.png": (clear(scene(64, 64).convert("L")), {}),
    "palette-clear.png": (scene(70, 50).quantize(32), dict(transparency=bytes(range(0, 256, 8)))),
    "lossy.webp": (scene(200, 300), dict(quality=80)),
    "lossy-clear.webp": (clear(scene(60, 80)), dict(quality=60)),
    "palette.gif": (scene(70, 50).quantize(32), {}),
    "hole.gif": (scene(70, 50).quantize(32), dict(transparency=5, interlace=1)),
}
for name, (picture, options) in pictures.items():
    path = os.path.join(out, name)
    picture.save(path, **options)
    prepared(path).save(path + ".pillow.png", optimize=True)

cut = os.path.join(out, "cut.jpg")
with open(cut, "wb") as file:
    file.write(without_its_last_passes(*pictures["poster.jpg"]))
prepared(cut).save(cut + ".pillow.png", optimize=True)

# The same pixels as one of those above, in other formats.
palette = scene(70, 50).quantize(32)
same = {
    "lossless.webp": ("small.png", scene(90, 60), dict(lossless=True)),
    "animated.webp": ("small.png", scene(90, 60), dict(lossless=True, **animated(scene(90, 60)))),
    "clear.webp": ("clear.png", clear(scene(60, 80)), dict(lossless=True)),
    "small.bmp": ("small.png", scene(90, 60), {}),
    "four-bytes.bmp": ("small.png", scene(90, 60).convert("RGBA"), {}),
    "animated.gif": ("palette.gif", palette, animated(palette)),
    "palette.bmp": ("palette.gif", palette, {}),
    "runs.bmp": ("palette.gif", palette, None),
}
for name, (other, picture, options) in same.items():
    path = os.path.join(out, name)
    if options is None:
        with open(path, "wb") as file:
            file.write(bmp_in_runs(picture))
    else:
        picture.save(path, **options)
    pixels, expected = (np.asarray(prepared(os.path.join(out, it))) for it in (name, other))
    assert (pixels == expected).all(), name
