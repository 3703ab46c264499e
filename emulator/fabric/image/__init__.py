"""Images: an OCI image layout, a `docker save` archive or an unpacked root folder becomes a folder that nodes mount.

    image = read_image(path)              # manifests and configuration, read and verified
    unpacked = image.unpack(scratch)      # once a run; `unpacked.root` is the lower folder of every node's overlay
    account = account_of(unpacked.root, image.user, str(path))
    argv = image.arguments(command)       # entry point, then `command` or the image's own

Neither Docker nor podman nor a registry takes part. What is wrong with an image is an `ImageError`: a DataError with
`where`, `found` and `expected`.

Invariant: nothing is written, read or removed outside the folder that `unpack` is given, whatever the image says.
"""

from emulator.fabric.image.account import Account, account_of
from emulator.fabric.image.errors import ImageError
from emulator.fabric.image.image import Image, Unpacked, read_image

__all__ = ["Account", "Image", "ImageError", "Unpacked", "account_of", "read_image"]
