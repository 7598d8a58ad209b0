"""Writes clip-tiny-pixels.json beside this file: what transformers computes for made-up pixels with
the CLIP folder given, so that no picture decoder stands in between.

    pip install torch transformers && python make_clip.py CLIP_TINY_DIR
"""

import json
import os
import sys

import torch
import transformers

model = transformers.CLIPModel.from_pretrained(sys.argv[1]).eval()
number = torch.arange(2 * 3 * 224 * 224, dtype=torch.float64)
pixels = (((number * 7919) % 1009) / 504.5 - 1).float().reshape(2, 3, 224, 224)
with torch.no_grad():
    embeds = model.get_image_features(pixel_values=pixels)
    embeds = embeds if torch.is_tensor(embeds) else embeds.pooler_output
out = os.path.dirname(os.path.abspath(__file__))
made_with = f"transformers {transformers.__version__}, torch {torch.__version__}"
with open(os.path.join(out, "clip-tiny-pixels.json"), "w") as file:
    json.dump({"made_with": made_with, "image_embeds": embeds.tolist()}, file)
