"""The attention-augmented convolution (Bello et al., ICCV 2019, arXiv 1904.09925)."""

# Shape suffixes: N batch, I in channels, O out channels, H W image (after the stride), P = H W
# pixels, a attention heads, q = 2 k + v dims of queries, keys and values over all heads,
# k key and v value dims of one head, D dims that the attention product sees.

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from awlab.nn import block_attention
from awlab.nn.location import inside
from awlab.nn.relative_positions import codes, relative_logits

FEW_VALUE_DIMS = 4
"""How many times fewer dims values need have than keys, for equal dims to be a waste on a CPU."""

ConvFactory = Callable[..., nn.Module]
"""Called as `nn.Conv2d`: (in_channels, out_channels, kernel_size, stride=, padding=, bias=)."""


class AttentionAugmentedConv2d(nn.Module):
    """Concatenate a convolution and multi-head self-attention over the pixels, along the channels.

    AAConv(X) = [Conv(X), MHA(X)] (Bello et al., Section 3.2): `out_channels - value_dims` channels
    of an ordinary convolution, then `value_dims` of attention. With relative positions the logit of
    query pixel i and key pixel j is q_i / sqrt(k) . (k_j + r^W[jx - ix] + r^H[jy - iy]) (Eq. 3);
    the learned tables r^W, r^H are shared by the heads.

    Neither pass keeps anything of size (H W)^2, see `fold_positions`.

    Args:
        in_channels: As the following ones, of `torch.nn.Conv2d`.
        out_channels: Of convolution and attention together.
        kernel_size: Of the convolution.
        stride: Of the convolution and of the one that makes queries, keys and values.
        padding: Of the convolution.
        bias: Of all three convolutions.
        heads: N_h.
        key_dims: d_k, over all heads.
        value_dims: d_v, over all heads.
        image_size: Height and width of the output (one number for both): the size of the tables.
            None: no relative positions, any image.
        qkv_kernel_size: Of the convolution that makes queries, keys and values.
        conv: Makes the convolution beside the attention (conv1 of Zhu et al., Figure 2b).
        qkv_conv: Makes the convolution to queries, keys and values (conv2).
        out_conv: Makes the 1x1 convolution that mixes the heads (conv3).

    Shape:
        Input (N, in_channels, H', W'), output (N, out_channels, H, W) as `torch.nn.Conv2d`.

    Raises:
        ValueError: When dims do not divide by heads, leave no channel to the convolution, or
            kernels and padding cannot give both parts the same size; in `forward`, when the output
            has not `image_size`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,  # noqa: FBT001, FBT002
        *,
        heads: int,
        key_dims: int,
        value_dims: int,
        image_size: int | tuple[int, int] | None,
        qkv_kernel_size: int = 1,
        conv: ConvFactory = nn.Conv2d,
        qkv_conv: ConvFactory = nn.Conv2d,
        out_conv: ConvFactory = nn.Conv2d,
    ) -> None:
        super().__init__()
        _check_dims(out_channels, heads, key_dims, value_dims)
        self.heads, self.key_dims, self.value_dims = heads, key_dims, value_dims
        self.image_size = (image_size, image_size) if isinstance(image_size, int) else image_size
        with inside("conv"):
            self.conv = conv(
                in_channels,
                out_channels - value_dims,
                kernel_size,
                stride=stride,
                padding=padding,
                bias=bias,
            )
        with inside("qkv_conv"):
            self.qkv_conv = qkv_conv(
                in_channels,
                2 * key_dims + value_dims,
                qkv_kernel_size,
                stride=stride,
                padding=_same_output_padding(kernel_size, padding, qkv_kernel_size),
                bias=bias,
            )
        with inside("out_conv"):
            self.out_conv = out_conv(value_dims, value_dims, 1, stride=1, padding=0, bias=bias)
        if self.image_size is None:
            self.key_rel_h = self.key_rel_w = None
        else:
            height, width = self.image_size
            self.key_rel_h = nn.Parameter(torch.empty(2 * height - 1, key_dims // heads))
            self.key_rel_w = nn.Parameter(torch.empty(2 * width - 1, key_dims // heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the tables from a normal distribution of standard deviation 1 / sqrt(k)."""
        for table in (self.key_rel_h, self.key_rel_w):
            if table is not None:
                nn.init.normal_(table, std=(self.key_dims // self.heads) ** -0.5)

    def forward(self, x_NIHW: Tensor) -> Tensor:
        return torch.cat((self.conv(x_NIHW), self.self_attention(x_NIHW)), 1)

    def self_attention(self, x_NIHW: Tensor) -> Tensor:
        """Return MHA(X): (N, value_dims, H, W)."""
        qkv_NqHW = self.qkv_conv(x_NIHW)
        height, width = qkv_NqHW.shape[2:]
        if self.image_size not in (None, (height, width)):
            raise ValueError(
                f"the output is {height}x{width} for an input of {x_NIHW.shape[2]}x"
                f"{x_NIHW.shape[3]}, but image_size (={self.image_size}) says the size of the "
                "relative position tables"
            )
        dims = (self.key_dims, self.key_dims, self.value_dims)
        q_NaPk, k_NaPk, v_NaPv = (
            part.unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
            for part in qkv_NqHW.split(dims, 1)
        )
        q_NaPk = q_NaPk * (self.key_dims // self.heads) ** -0.5
        tables = None
        if self.key_rel_h is not None and self.key_rel_w is not None:
            tables = (self.key_rel_h, self.key_rel_w)
        y_NaPv = attend(q_NaPk, k_NaPk, v_NaPv, tables)
        return self.out_conv(y_NaPv.transpose(2, 3).flatten(1, 2).unflatten(2, (height, width)))

    def extra_repr(self) -> str:
        return (
            f"heads={self.heads}, key_dims={self.key_dims}, value_dims={self.value_dims}, "
            f"image_size={self.image_size}"
        )


def fold_positions(
    q_NaPk: Tensor, k_NaPk: Tensor, key_rel_h: Tensor, key_rel_w: Tensor
) -> tuple[Tensor, Tensor]:
    """Append positions to queries and keys, so that their product has the relative logits.

    A query gets its logit with each of the H rows and W columns, a key the one-hot codes of its
    own row and column: exact, and H + W numbers per pixel in the place of H W.
    """
    rows_NaPH, columns_NaPW = relative_logits(q_NaPk, key_rel_h, key_rel_w)
    q_NaPD = torch.cat((q_NaPk, rows_NaPH, columns_NaPW), -1)
    codes_PR = codes(rows_NaPH.shape[-1], columns_NaPW.shape[-1], q_NaPD)
    return q_NaPD, torch.cat((k_NaPk, codes_PR.expand(*k_NaPk.shape[:2], -1, -1)), -1)


def attend(
    q_NaPk: Tensor, k_NaPk: Tensor, v_NaPv: Tensor, tables: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Return softmax(q k^T + positions) v without keeping the product: (N, a, P, v)."""
    value_dims = v_NaPv.shape[-1]
    dims = q_NaPk.shape[-1]
    if tables is not None:
        dims += sum((len(table) + 1) // 2 for table in tables)
    on_cpu = q_NaPk.device.type == "cpu" and not torch.compiler.is_compiling()
    if on_cpu and FEW_VALUE_DIMS * value_dims <= dims:
        return block_attention.attend(q_NaPk, k_NaPk, v_NaPv, tables)
    q_NaPD, k_NaPD = fold_positions(q_NaPk, k_NaPk, *tables) if tables else (q_NaPk, k_NaPk)
    # The kernels that never store q k^T ask for equal dims of q, k and v (flash) that are a
    # multiple of 8 (CUDA); with others, torch silently falls back to the one that does.
    dims = -(-max(dims, value_dims) // 8) * 8
    q_NaPD, k_NaPD, v_NaPD = (
        F.pad(part, (0, dims - part.shape[-1])) for part in (q_NaPD, k_NaPD, v_NaPv)
    )
    return F.scaled_dot_product_attention(q_NaPD, k_NaPD, v_NaPD, scale=1.0)[..., :value_dims]


def _check_dims(out_channels: int, heads: int, key_dims: int, value_dims: int) -> None:
    if heads < 1:
        raise ValueError(f"heads (={heads}) must be at least 1")
    for name, dims in {"key_dims": key_dims, "value_dims": value_dims}.items():
        if dims < 1 or dims % heads:
            raise ValueError(f"{name} (={dims}) must be a positive multiple of heads (={heads})")
    if value_dims >= out_channels:
        raise ValueError(
            f"value_dims (={value_dims}) must be below out_channels (={out_channels}): the rest "
            "are the convolution's"
        )


def _same_output_padding(kernel_size: int, padding: int, qkv_kernel_size: int) -> int:
    """Return the padding that centres the second kernel on the pixels of the first."""
    excess = kernel_size - qkv_kernel_size
    if excess % 2 or padding < excess // 2:
        raise ValueError(
            f"qkv_kernel_size (={qkv_kernel_size}) cannot give the output size of kernel_size "
            f"(={kernel_size}) with padding (={padding}): the kernels must both be odd or both be "
            f"even, and padding at least {max(0, -(-excess // 2))}"
        )
    return padding - excess // 2
