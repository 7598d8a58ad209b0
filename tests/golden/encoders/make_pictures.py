"""Writes pictures/ beside this file: made-up pictures in the formats that posters come in, and
what Pillow makes of them on the way to CLIP: RGB, what is transparent laid on white by transformers,
the shorter side 224 bicubic, the centre cut out.

    pip install pillow numpy transformers && python make_pictures.py
"""

import os

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


pictures = {
    "poster.jpg": (scene(200, 300), dict(quality=85, progressive=True, subsampling="4:2:0")),
    "wide.jpg": (scene(640, 410), dict(quality=80, subsampling="4:2:2")),
    "grey.jpg": (scene(185, 278).convert("L"), dict(quality=90)),
    "small.png": (scene(90, 60), {}),
    "clear.png": (clear(scene(60, 80)), {}),
    "grey-clear.png": (clear(scene(64, 64).convert("L")), {}),
    "palette-clear.png": (scene(70, 50).quantize(32), dict(transparency=bytes(range(0, 256, 8)))),
}
for name, (picture, options) in pictures.items():
    path = os.path.join(out, name)
    picture.save(path, **options)
    picture = Image.fromarray(convert_to_rgb(Image.open(path), return_numpy=True))
    width, height = picture.size
    short = 224
    size = (short, int(short * height / width))
    if width > height:
        size = (int(short * width / height), short)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    resized = picture.resize(size, Image.Resampling.BICUBIC)
    resized.crop((left, top, left + 224, top + 224)).save(path + ".pillow.png", optimize=True)
