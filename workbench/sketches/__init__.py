"""Small mergeable summaries of tensors: values, blocks, channels, and where large values lie."""

from .channels import ChannelHistogram
from .profile import ErrorProfile
from .pyramid import Pyramid
from .sketch import Sketch, sketch

__all__ = ["ChannelHistogram", "ErrorProfile", "Pyramid", "Sketch", "sketch"]
