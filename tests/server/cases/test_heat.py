"""Where attention lies on the picture, to a part of a cell: readers judge a lesion by it."""

import io

import numpy as np
import pytest
from PIL import Image

from server.cases.pictures import heat_png, under_heat

CELLS, REGION, SIZE = (7, 10), (30, 50, 170, 300), (360, 200)


def attention_at(row, column):
    cells = np.zeros(CELLS)
    cells[row, column] = 1
    return cells


def middle(strength):
    """Centre of what is lit, rows and columns in pixels, edges."""
    rows, columns = np.indices(strength.shape) + 0.5
    return [(strength * place).sum() / strength.sum() for place in (rows, columns)]


@pytest.mark.parametrize("cell", [(1, 1), (5, 2), (3, 8)])
def test_a_cell_lights_up_in_the_middle_of_its_part_of_the_region(cell):
    attention = attention_at(*cell)
    heat = np.asarray(Image.open(io.BytesIO(heat_png(attention, REGION, SIZE))), np.float64)[..., 3]
    frame = np.zeros((*SIZE[::-1], 3), np.uint8)
    over = under_heat(frame, attention, REGION).sum(axis=-1, dtype=np.float64)
    top, left, bottom, right = REGION
    edge = (bottom - top) / CELLS[0], (right - left) / CELLS[1]
    expected = [top + (cell[0] + 0.5) * edge[0], left + (cell[1] + 0.5) * edge[1]]
    assert middle(heat) == pytest.approx(expected, abs=0.05 * min(edge))
    assert middle(over) == pytest.approx(expected, abs=0.05 * min(edge))
    assert heat.max() > 240
