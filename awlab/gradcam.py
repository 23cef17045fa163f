"""Where in an image a network found its evidence: Grad-CAM (Selvaraju et al. 2017)."""

# Shape suffixes: N images, C channels, H W image, h w maps of the layer, K classes.

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GradCAM:
    """Heat maps of the evidence for a class, read off the gradients at one layer.

    The maps of the layer are summed with the weights alpha (Eq. 1), and what speaks against the
    class is cut off (Eq. 2). Only the part of the network above the layer is differentiated, so
    frozen parameters and callers in `torch.inference_mode` are fine; `.grad` and the mode of each
    module stay as they were.

    Args:
        model: Maps images (N, C, H, W) to logits (N, K).
        layer: Dotted name of a module of `model` that yields maps (N, C, h, w).

    Raises:
        ValueError: When `model` has no such module.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        self.model = model
        self.layer = layer
        self._module = _find(model, layer)

    def __call__(self, x_NCHW: Tensor, target_N: Tensor | None = None) -> Tensor:
        """Explain a batch.

        Args:
            x_NCHW: Images as the network wants them.
            target_N: The class to explain for each image; by default the predicted one.

        Returns:
            float32 (N, H, W). 0 is no evidence, 1 the strongest in that image; an image in which
            nothing speaks for the class has a map of zeros.

        Raises:
            ValueError: When the layer yields no maps or does not lead to the logits.
        """
        maps_NChw, gradient_NChw = self._maps_and_gradient(x_NCHW, target_N)
        alpha_NC11 = gradient_NChw.mean((2, 3), keepdim=True)
        cam_N1hw = F.relu((alpha_NC11 * maps_NChw).sum(1, keepdim=True))
        cam_NHW = F.interpolate(cam_N1hw, x_NCHW.shape[2:], mode="bilinear").squeeze(1)
        peak_N11 = cam_NHW.amax((1, 2), keepdim=True)
        return cam_NHW / peak_N11.where(peak_N11 > 0, 1)

    def _maps_and_gradient(self, x_NCHW: Tensor, target_N: Tensor | None) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []

        def keep(module: nn.Module, inputs: object, output: object) -> Tensor:
            seen.append(self._checked(output).detach().requires_grad_())
            return seen[-1].clone()  # what follows may work in place

        with evaluating(self.model), torch.inference_mode(mode=False), torch.enable_grad():
            with self._module.register_forward_hook(keep):
                logits_NK = self.model(x_NCHW.clone())
            if not seen:
                raise ValueError(f"layer {self.layer!r} takes no part in the forward pass")
            class_N = logits_NK.argmax(1) if target_N is None else target_N
            score = logits_NK.gather(1, class_N.unsqueeze(1)).sum()
            gradient_NChw = _gradient(score, seen[-1])
        if gradient_NChw is None:
            raise ValueError(f"layer {self.layer!r} does not lead to the logits")
        return seen[-1].detach().float(), gradient_NChw.float()

    def _checked(self, output: object) -> Tensor:
        if isinstance(output, Tensor) and output.ndim == 4:
            return output
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"layer {self.layer!r} yields {found}, not maps (images, channels, height, width); "
            "awlab.gradcam.list_layers names those that do"
        )


def list_layers(model: nn.Module, x_NCHW: Tensor) -> dict[str, tuple[int, int, int]]:
    """Name the modules that Grad-CAM can look at: those that yield maps of 2x2 or more.

    Returns:
        Dotted name -> (channels, height, width) for images of that size, in the order in which
        the modules finish: the last one is the nearest to the logits.
    """
    found: dict[str, tuple[int, int, int]] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            found.pop(name, None)
            found[name] = (output.shape[1], output.shape[2], output.shape[3])

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name:
                hook = module.register_forward_hook(lambda _, __, out, name=name: note(name, out))
                stack.enter_context(hook)
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.no_grad())
        model(x_NCHW[:1])
    return found


def default_layer(model: nn.Module, x_NCHW: Tensor) -> str:
    """Name the last module that yields maps of 2x2 or more for images of that size.

    What is inside of a convolution, as the attention branch of an AW-convolution is, sees no maps
    of the image and is left out.

    Raises:
        ValueError: When there is none.
    """
    insides = tuple(
        f"{name}." for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    )
    layers = [name for name in list_layers(model, x_NCHW) if not name.startswith(insides)]
    if not layers:
        height, width = x_NCHW.shape[2:]
        raise ValueError(
            f"no layer of {type(model).__name__} yields maps of 2x2 or more for images of "
            f"{height}x{width}: there is nothing for Grad-CAM to look at"
        )
    return layers[-1]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a network in evaluation mode; then give each of its modules its own mode back.

    A compiled network runs uncompiled, because it would not call hooks that came after compiling.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for module in training:
            module.training = True


def _gradient(score: Tensor, maps_NChw: Tensor) -> Tensor | None:
    if not score.requires_grad:
        return None
    return torch.autograd.grad(score, maps_NChw, allow_unused=True)[0]


def _find(model: nn.Module, layer: str) -> nn.Module:
    modules = dict(model.named_modules())
    if layer and layer in modules:
        return modules[layer]
    close = get_close_matches(layer, filter(None, modules), n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    children = ", ".join(name for name, _ in model.named_children())
    raise ValueError(
        f"no layer {layer!r} in {type(model).__name__}; {hint}its parts are: {children}"
    )
