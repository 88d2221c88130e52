"""Writes augmentations.safetensors for tests/data/augment.c: two images (height x width x channels, bytes) and what
torchvision's functional forms make of them. A tensor's name is the image, the change and its numbers; those of a
warp are angle, move x and y, scale, shear x and y, and the center from the middle of the image."""
import numpy as np
import torch
from safetensors.numpy import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide, functional as F

MEAN = [30, 200, 90]  # as in tests/data/augment.c

generator = torch.Generator().manual_seed(1)


def image(channels, height, width, low, high):
    """Something smooth with a little noise, so that each change does something."""
    coarse = torch.rand(1, channels, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)[0]
    noisy = smooth + 0.1 * torch.randn(channels, height, width, generator=generator)
    return (low + (high - low) * noisy.clamp(0, 1)).round().to(torch.uint8)


IMAGES = {"rgb": image(3, 19, 24, 20, 230), "gray": image(1, 28, 28, 0, 255)}
tensors = {}


def keep(*name_and_result):
    *name, result = name_and_result
    tensors[" ".join(str(part) for part in name)] = np.ascontiguousarray(result.permute(1, 2, 0).numpy())


def warp(name, x, mode, fill, angle, move_x, move_y, scale, shear_x, shear_y, corner):
    height, width = x.shape[1:]
    result = F.affine(
        x, angle, [move_x, move_y], scale, [shear_x, shear_y], InterpolationMode(mode),
        fill=MEAN[: len(x)] if fill == "mean" else None, center=[0, 0] if corner else None,
    )
    center = (-0.5 * width, -0.5 * height) if corner else (0, 0)
    keep(name, f"{mode}_{fill}", angle, move_x, move_y, scale, shear_x, shear_y, *center, result)


for name, x in IMAGES.items():
    keep(name, x)
    for factor in (0, 0.37, 0.9, 1, 1.25, 1.99):
        keep(name, "brightness", factor, F.adjust_brightness(x, factor))
        keep(name, "contrast", factor, F.adjust_contrast(x, factor))
        keep(name, "saturation", factor, F.adjust_saturation(x, factor))
        keep(name, "sharpness", factor, F.adjust_sharpness(x, factor))
    for bits in (2, 5, 8):
        keep(name, "posterize", bits, F.posterize(x, bits))
    for threshold in (0, 100.5, 128, 255):
        keep(name, "solarize", threshold, F.solarize(x, threshold))
    keep(name, "autocontrast", F.autocontrast(x))
    keep(name, "equalize", F.equalize(x))
    # Not bilinear with a fill: where a pixel is partly outside, torchvision weighs the image twice.
    for mode, fills in (("nearest", ("zero", "mean")), ("bilinear", ("zero",))):
        for fill in fills:
            warp(name, x, mode, fill, 0, 0, 0, 1, 0, 0, False)
            warp(name, x, mode, fill, 23, 3, -2, 1.2, 0, 0, False)
            warp(name, x, mode, fill, -71, -4, 5, 0.85, 17, -9, False)
            warp(name, x, mode, fill, 0, 0, 0, 1, 33, 0, True)
            warp(name, x, mode, fill, 0, 0, 0, 1, 0, -21, True)

# Everything that TrivialAugment can make of a small image: a square one, which a quarter turn maps onto itself, and
# without multiples of 17, which are at the very thresholds of solarizing in float32 or just beside them.
small = image(3, 9, 9, 20, 230)
small += (small % 17 == 0).to(torch.uint8)
transform = TrivialAugmentWide()
outcomes = set()
for change, (magnitudes, signed) in transform._AUGMENTATION_SPACE.items():
    bins = magnitudes(31, 9, 9)
    for magnitude in [0.0] if bins is None else bins.tolist():
        for sign in (1, -1) if signed else (1,):
            result = transform._apply_image_or_video_transform(
                small, change, sign * magnitude, InterpolationMode.NEAREST, {torch.Tensor: None})
            outcomes.add(result.permute(1, 2, 0).numpy().tobytes())
keep("small", small)
tensors["trivial_augment"] = np.frombuffer(b"".join(sorted(outcomes)), np.uint8).reshape(-1, 9, 9, 3)

save_file(tensors, "augmentations.safetensors")
