"""Writes `open-clip/` beside this file: a tiny CLIP with seeded weights as OpenCLIP saves it, as
OpenAI published its own (an archive of TorchScript's), and as transformers does in all its ways,
with the vectors that OpenCLIP and transformers compute.

    pip install torch transformers tokenizers open_clip_torch && python make_open_clip.py
"""

import json
import os

import open_clip
import torch
import transformers
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "open-clip")
versions = f"open_clip {open_clip.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
words = "a sailor finds the river . robot meets witch".split()
# As CLIP's: bytes, bytes that end a word, and what is put together.
letters = sorted(set("".join(words)))
merges = []
pieces = {letter for letter in letters} | {letter + "</w>" for letter in letters}
for word in words:
    parts = list(word[:-1]) + [word[-1] + "</w>"]
    while len(parts) > 1:
        if (parts[0], parts[1]) not in merges:
            merges.append((parts[0], parts[1]))
        parts = [parts[0] + parts[1]] + parts[2:]
        pieces.add(parts[0])
tokens = sorted(pieces) + ["<|startoftext|>", "<|endoftext|>"]
vocab = {token: number for number, token in enumerate(tokens)}
texts = ["A sailor finds the river.", "robot meets witch", "the the the a a a"]
longest = 12


def pictures(count, side):
    """As `made_up_pixels` of the tests."""
    numbers = torch.arange(count * 3 * side * side) * 7919 % 1009
    return (numbers.float() / 504.5 - 1).reshape(count, 3, side, side)


def seeded(model, seed):
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        spread = 0.2 * torch.randn_like(parameter)
        is_norm = name.endswith(("ln_1.weight", "ln_2.weight", "ln_pre.weight", "ln_post.weight", "ln_final.weight"))
        parameter.data = 1 + spread if is_norm else spread
    return model.eval()


def tokenizer_files(folder):
    os.makedirs(folder, exist_ok=True)
    json.dump(vocab, open(f"{folder}/vocab.json", "w"))
    lines = ["#version: 0.2"] + [" ".join(merge) for merge in merges]
    open(f"{folder}/merges.txt", "w").write("\n".join(lines) + "\n")


def encoded():
    tokenizer_files(f"{out}/tokens")
    tokenizer = CLIPTokenizer(vocab, merges)
    rows = [tokenizer(text, truncation=True, max_length=longest)["input_ids"] for text in texts]
    filled = [row + [0] * (longest - len(row)) for row in rows]
    return rows, torch.tensor(filled)


vision = dict(image_size=32, patch_size=8, width=64, layers=1, head_width=32)
text = dict(context_length=longest, vocab_size=len(vocab), width=64, heads=1, layers=1)
rows, ids = encoded()
for name, quick in (("open_clip", False), ("openai", True)):
    if quick:
        # OpenAI's heads are of this width.
        vision["head_width"] = 64
    model = CLIP(32, CLIPVisionCfg(**vision), CLIPTextCfg(**text), quick_gelu=quick)
    seeded(model, 51 + quick)
    # The numbers that they are published with.
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    folder = f"{out}/{name}"
    os.makedirs(folder, exist_ok=True)
    with torch.no_grad():
        golden = dict(
            made_with=versions,
            texts=texts,
            input_ids=rows,
            image_vectors=model.encode_image(pictures(2, 32)).tolist(),
            text_vectors=model.encode_text(ids).tolist(),
        )
    json.dump(golden, open(f"{folder}/golden.json", "w"))
    state = {key: value.contiguous() for key, value in model.state_dict().items() if key != "attn_mask"}
    if quick:
        # OpenAI's are archives of TorchScript's, of modules that are called as here.
        torch.jit.script(model.half()).save(f"{folder}/ViT-tiny.pt")
    else:
        config = dict(
            model_cfg=dict(embed_dim=32, vision_cfg=vision, text_cfg=text),
            preprocess_cfg=dict(mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4], interpolation="bicubic", resize_mode="shortest"),
        )
        json.dump(config, open(f"{folder}/open_clip_config.json", "w"), indent=1)
        state = {key: value.half() for key, value in state.items()}
        torch.save(state, f"{folder}/open_clip_pytorch_model.bin")

# transformers' own model, from which each way of saving is made.
torch.manual_seed(53)
of_tower = dict(num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, hidden_size=32)
config = CLIPConfig(
    projection_dim=24,
    text_config=dict(of_tower, vocab_size=len(vocab), max_position_embeddings=longest, eos_token_id=vocab["<|endoftext|>"]),
    vision_config=dict(of_tower, image_size=32, patch_size=8),
)
model = CLIPModel(config)
for name, parameter in model.named_parameters():
    spread = 0.3 * torch.randn_like(parameter)
    parameter.data = 1 + spread / 2 if "norm" in name and name.endswith("weight") else spread
model = model.eval()
with torch.no_grad():
    golden = dict(
        made_with=versions,
        texts=texts,
        input_ids=rows,
        image_vectors=model.get_image_features(pictures(2, 32)).pooler_output.tolist(),
        text_vectors=model.get_text_features(ids).pooler_output.tolist(),
    )
folder = f"{out}/transformers"
os.makedirs(folder, exist_ok=True)
json.dump(golden, open(f"{folder}/golden.json", "w"))
config.save_pretrained(folder)
state = {key: value.contiguous() for key, value in model.state_dict().items()}
torch.save(state, f"{folder}/pytorch_model.bin")
torch.save(state, f"{folder}/legacy.bin", _use_new_zipfile_serialization=False)
model.save_pretrained(f"{out}/sharded", max_shard_size="40KB")
os.remove(f"{out}/sharded/config.json")
