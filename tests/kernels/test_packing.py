"""Bit packing: exact sizes, exact bits, for every width."""

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.kernels.packing import pack, packed_size, unpack


@pytest.mark.parametrize("width", range(1, 17))
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 1001])
def test_packing_equals_a_string_of_bits(width, count):
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 1 << width, count).astype(np.uint8 if width <= 8 else np.uint16)
    packed = pack(codes, width)
    assert packed.size == packed_size(count, width) == -(-count * width // 8)
    bits = np.unpackbits(packed, bitorder="little")
    by_code = bits[: count * width].reshape(count, width)
    assert np.array_equal(by_code @ (1 << np.arange(width)), codes)
    assert not bits[count * width :].any()
    assert np.array_equal(unpack(packed, width, count), codes)


def test_codes_that_do_not_fit_and_bytes_that_are_missing():
    with pytest.raises(WorkbenchError, match="code 8 → it does not fit 3 bits"):
        pack(np.array([8]), 3)
    with pytest.raises(WorkbenchError, match="2 bytes → 5 codes of 4 bits take 3"):
        unpack(np.zeros(2, np.uint8), 4, 5)
    with pytest.raises(WorkbenchError, match="codes of 17 bits → codes have 1 to 16 bits"):
        packed_size(1, 17)


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("count", [15, 16, 17, 63, 64, 65, 4097])
def test_words_of_eight_codes_leave_no_trace_beyond_their_end(width, count):
    codes = np.random.default_rng(count).integers(0, 1 << width, count).astype(np.uint8)
    packed = pack(codes, width)
    assert np.array_equal(unpack(packed, width, count), codes)
    assert np.array_equal(unpack(packed, width, count - 3), codes[:-3])
    assert np.array_equal(pack(unpack(packed, width, count), width), packed)
    longer = np.concatenate([packed, np.full(9, 255, np.uint8)])
    assert np.array_equal(unpack(longer, width, count), codes)


def test_codes_can_be_written_where_one_likes():
    codes = np.arange(40, dtype=np.uint8) % 8
    out = np.empty(40, np.uint8)
    assert unpack(pack(codes, 3), 3, 40, out) is out
    assert np.array_equal(out, codes)
    with pytest.raises(WorkbenchError, match="written to uint8 without gaps"):
        unpack(pack(codes, 3), 3, 40, np.empty(40, np.uint16))
