"""The exercises of the chapters on real tensors, on the error and its causes, and on transforms.

Records like those of `exercises`, whose table takes them in; the inputs are in `model_cases`.
"""

from __future__ import annotations

from . import model_cases
from .records import Exercise

TABLE = (
    Exercise(
        "scale-channel",
        "Write f(x) that gives the number of the channel that sets the scale of an array x of "
        "tokens by channels, where all of it shares one scale: the column that holds the largest "
        "magnitude. Of several that do, the first.",
        ("x",),
        (
            "A scale has to reach the largest magnitude, whichever sign it has.",
            "np.abs(x).max(axis=0) is the largest magnitude of every channel.",
            "np.argmax of that gives the first of the largest.",
        ),
        model_cases.scale_channel,
        kind="array",
        answers="channel",
    ),
    Exercise(
        "flushed-share",
        "Write f(x) that gives the share of all values of x that are not zero, and become zero in "
        "int8 with one scale for the tensor: the scale is the largest magnitude over 127, and "
        "x / scale is rounded to the nearest whole number, ties to even.",
        ("x",),
        (
            "A value that is zero before was not flushed.",
            "What is half a step or less becomes zero; half a step is a tie, and zero is even.",
            "The mean of (rounded == 0) & (x != 0), where rounded is np.round(x / scale). If all "
            "values are zero there is no scale, and the share is 0.",
        ),
        model_cases.flushed_share,
        kind="array",
    ),
    Exercise(
        "llm-int8",
        "Write f(x, w, threshold) that multiplies tokens x (tokens by inputs) with weights w "
        "(outputs by inputs) in two parts. Channels with a value of threshold or more in any "
        "token are multiplied as they are; in the rest, x is rounded under int8/token with those "
        "channels set to zero, and w under int8/channel.",
        ("x", "w", "threshold"),
        (
            "large = np.abs(x).max(axis=0) >= threshold says which channels go past the rounding.",
            "Set the large channels to zero before x is rounded, or they still set the scales.",
            "x[:, large] @ w[:, large].T + rounded_rest @ rounded_w.T, where rounded_rest is "
            "wb.scheme('int8/token').round(np.where(large, 0, x)).",
        ),
        model_cases.mixed_product,
        kind="array",
    ),
    Exercise(
        "sqnr-db",
        "Write f(x, y) that gives the ratio of signal to quantization noise of a rounded copy y "
        "of x, in decibels. Where nothing is changed it is infinite.",
        ("x", "y"),
        (
            "The signal is the mean of the squares of x.",
            "The noise is the mean of the squares of y - x, not the square of their mean.",
            "10 * log10(signal / noise); powers take 10, amplitudes would take 20.",
        ),
        model_cases.decibels,
        kind="array",
    ),
    Exercise(
        "error-causes",
        "Write f(x, y, largest) that gives three numbers which add up to the mean squared error of "
        "a rounded copy y of x: the part of values that were only rounded, the part of values "
        "beyond largest in magnitude, which were clipped, and the part of values that became zero.",
        ("x", "y", "largest"),
        (
            "Each value belongs to one of the three, so that the three parts add up.",
            "Clipped is np.abs(x) > largest; flushed is y == 0 where x is not 0; the rest is "
            "rounding.",
            "Divide each sum of squares by the number of all values, x.size, and not by the number "
            "of values of that cause.",
        ),
        model_cases.three_causes,
        kind="array",
    ),
    Exercise(
        "weighted-error",
        "Write f(d, h) that gives the squared error of a layer's outputs, summed over tokens and "
        "outputs. d is the weight error, outputs by inputs; h = x.T @ x are the products of every "
        "two inputs, summed over the tokens.",
        ("d", "h"),
        (
            "Output i is off by x @ d[i]; its square, summed over the tokens, is d[i] @ h @ d[i].",
            "The diagonal of h is not enough: two inputs that go together add up or cancel.",
            "np.trace(d @ h @ d.T), or np.sum((d @ h) * d).",
        ),
        model_cases.output_error,
        kind="array",
    ),
    Exercise(
        "smoothing-factors",
        "Write f(x, w, alpha) that gives what each input channel is divided by in SmoothQuant: the "
        "largest magnitude of the channel in x (tokens by inputs) to the power alpha, over that of "
        "its column in w (outputs by inputs) to the power 1 - alpha. Where either is zero, 1.",
        ("x", "w", "alpha"),
        (
            "Both largest magnitudes are taken down the columns, axis=0.",
            "alpha = 1 moves all of the size into the weights, alpha = 0 flattens the weights.",
            "Compute it where both are above zero, and put 1 elsewhere: np.where, or a mask.",
        ),
        model_cases.smoothing_factors,
        kind="array",
    ),
    Exercise(
        "rotated-weight",
        "Write f(w, q) that gives the weight for rotated inputs. Tokens x become x @ q, where q is "
        "orthogonal, such as random signs times a Hadamard matrix; with the new weight the layer "
        "has to give what x @ w.T gave.",
        ("w", "q"),
        (
            "You look for v with (x @ q) @ v.T equal to x @ w.T for every x.",
            "So q @ v.T has to be w.T, and the inverse of an orthogonal q is q.T.",
            "v.T = q.T @ w.T. Transpose both sides.",
        ),
        model_cases.rotated_weights,
        kind="array",
    ),
    Exercise(
        "unused-bits",
        "Write f(covariance) that gives how many bits a channel the range of a quantizer leaves "
        "unused, against the best there can be: log2 of the standard deviation of the widest "
        "channel, less log2 of the covariance's determinant over twice the number of channels.",
        ("covariance",),
        (
            "The widest channel is the largest entry of the diagonal, a variance: take its root.",
            "The largest eigenvalue is the longest axis of the ellipsoid, which no channel need "
            "reach.",
            "np.linalg.slogdet(covariance)[1] is the natural logarithm of the determinant, which "
            "itself underflows for many channels; over log(2) it is log2.",
        ),
        model_cases.unused_bits,
        kind="array",
    ),
)
