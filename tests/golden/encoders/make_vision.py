"""Writes `vision/` beside this file: tiny DINOv2s and SigLIPs with seeded weights, saved by
transformers, and the vectors that it computes: a folder a model, `golden.json` in each. Pixels are
made up as the tests make them.

    pip install torch transformers tokenizers sentencepiece && python make_vision.py
"""

import json
import os
from types import SimpleNamespace

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BitImageProcessor,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipTokenizer,
)

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vision")
versions = f"transformers {transformers.__version__}, torch {torch.__version__}"


def seeded(model, seed):
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        spread = 0.3 * torch.randn_like(parameter)
        is_scale = "norm" in name and name.endswith("weight") or "lambda" in name
        parameter.data = 1 + spread / 2 if is_scale else spread
    return model.eval()


def pictures(count, side):
    """As `made_up_pixels` of the tests."""
    numbers = torch.arange(count * 3 * side * side) * 7919 % 1009
    return (numbers.float() / 504.5 - 1).reshape(count, 3, side, side)


sizes = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3)
square = dict(sizes, patch_size=7, image_size=42, mlp_ratio=2)
dinov2s = {
    "dinov2": (Dinov2Model, Dinov2Config(**square)),
    "dinov2-giant": (Dinov2Model, Dinov2Config(**square, use_swiglu_ffn=True)),
    "dinov2-registers": (Dinov2WithRegistersModel, Dinov2WithRegistersConfig(**square, num_register_tokens=2)),
}
for number, (name, (model_class, config)) in enumerate(dinov2s.items()):
    folder = f"{out}/{name}"
    seeded(model_class(config), 31 + number).save_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    golden = dict(made_with=versions)
    # As trained, on fewer patches, on more, and with a rest that is no patch.
    for side in (42, 28, 56, 32):
        BitImageProcessor(size={"shortest_edge": side}, crop_size=side).save_pretrained(folder)
        with torch.no_grad():
            golden[f"pooled_{side}"] = model(pictures(2, side)).pooler_output.tolist()
    json.dump(golden, open(f"{folder}/golden.json", "w"))

words = "the a sailor robot witch river bank finds crosses and nobody believes".split()
texts = ["The sailor finds a river.", "a ROBOT, crosses;   the bank!", "", " ".join(words * 3)]


def tokenizer(pad, eos, lowercase):
    vocab = {"<pad>": 0, "</s>": 1, "<unk>": 2}
    for word in words + [word.upper() for word in words] + ["The", ".", ",", ";", "!"]:
        vocab.setdefault(word, len(vocab))
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase() if lowercase else None
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {eos}", special_tokens=[(eos, vocab[eos])])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, eos_token=eos, unk_token="<unk>")


def canonical(text):
    """What transformers' tokenizer of the first SigLIP makes of a text; the class needs a file of
    SentencePiece's to be made."""
    stand_in = SimpleNamespace(do_lower_case=True)
    stand_in.remove_punctuation = lambda text: SiglipTokenizer.remove_punctuation(stand_in, text)
    return SiglipTokenizer.canonicalize_text(stand_in, text)


siglips = {
    # Of the first, whose padding is its end.
    "siglip": (dict(), "</s>", "right", 20, "SiglipTokenizer", canonical),
    # Of the second: another padding, before the text, and a projection of another width.
    "siglip2": (dict(projection_size=32), "<pad>", "left", 16, "Siglip2Tokenizer", str.lower),
    # By another tokenizer: all of what is done stands in tokenizer.json.
    "siglip-plain": (dict(), "<pad>", "right", 16, None, str),
}
for number, (name, (of_text, pad, side, longest, class_name, prepare)) in enumerate(siglips.items()):
    folder = f"{out}/{name}"
    text = tokenizer(pad, "</s>", lowercase=class_name is None)
    text.padding_side = side
    config = SiglipConfig(
        text_config=dict(sizes, intermediate_size=40, vocab_size=len(text), max_position_embeddings=longest, **of_text),
        vision_config=dict(sizes, intermediate_size=40, image_size=32, patch_size=8),
    )
    seeded(SiglipModel(config), 41 + number).save_pretrained(folder)
    text.save_pretrained(folder)
    if class_name is not None:
        saved = json.load(open(f"{folder}/tokenizer_config.json"))
        saved["tokenizer_class"] = class_name
        json.dump(saved, open(f"{folder}/tokenizer_config.json", "w"), indent=2)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    prepared = [prepare(text) for text in texts]
    encoded = text(prepared, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    with torch.no_grad():
        images = model.get_image_features(pictures(2, 32)).pooler_output
        # As the model was trained: what is filled up is seen.
        vectors = model.get_text_features(encoded["input_ids"]).pooler_output
    golden = dict(
        made_with=versions,
        texts=texts,
        input_ids=encoded["input_ids"].tolist(),
        text_vectors=vectors.tolist(),
        image_vectors=images.tolist(),
    )
    json.dump(golden, open(f"{folder}/golden.json", "w"))
