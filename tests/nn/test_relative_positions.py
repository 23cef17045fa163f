import pytest
import torch

from awlab.nn.relative_positions import codes, relative_logits

HEIGHT, WIDTH, DIMS = 3, 4, 2
PIXELS = [(y, x) for y in range(HEIGHT) for x in range(WIDTH)]


@pytest.fixture
def tables():
    torch.manual_seed(0)
    return [torch.randn(2 * length - 1, DIMS).double() for length in (HEIGHT, WIDTH)]


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_a_query_meets_each_row_and_each_column_at_its_distance(tables, leading):
    rel_h, rel_w = tables
    queries = torch.randn(*leading, len(PIXELS), DIMS).double()
    rows, columns = relative_logits(queries, rel_h, rel_w)
    assert rows.shape == (*leading, len(PIXELS), HEIGHT)
    assert columns.shape == (*leading, len(PIXELS), WIDTH)
    for pixel, (y, x) in enumerate(PIXELS):
        query = queries[..., pixel, :]
        for other in range(HEIGHT):
            expected = query @ rel_h[other - y + HEIGHT - 1]
            torch.testing.assert_close(rows[..., pixel, other], expected)
        for other in range(WIDTH):
            expected = query @ rel_w[other - x + WIDTH - 1]
            torch.testing.assert_close(columns[..., pixel, other], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_codes_pick_the_row_and_the_column_of_a_pixel(dtype):
    found = codes(HEIGHT, WIDTH, torch.empty(0, dtype=dtype))
    assert found.dtype == dtype
    expected = torch.zeros(len(PIXELS), HEIGHT + WIDTH, dtype=dtype)
    for pixel, (y, x) in enumerate(PIXELS):
        expected[pixel, [y, HEIGHT + x]] = 1
    assert torch.equal(found, expected)
