"""Boot archives (cpio "newc") with launch descriptions: kernel/launch_description.h."""


def cpio(files):
    """`files`: pairs of path and bytes, in order."""
    parts = []
    for inode, (path, data) in enumerate(list(files) + [("TRAILER!!!", b"")], 1):
        name = path.encode() + b"\0"
        fields = [inode, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]
    return b"".join(parts)


def launch(module, *arguments, **fields):
    """A launch description; a `_` in a field's name stands for `-`."""
    lines = [("module", module)] + [("argument", argument) for argument in (module, *arguments)]
    lines += [(key.replace("_", "-"), value) for key, value in fields.items()]
    return b"".join(f"{key}={value}".encode() + b"\0" for key, value in lines)


def launches(descriptions):
    """Paths and contents for descriptions to be run one after the other."""
    return [(".tessera/launch" + (f".{number}" if number else ""), description)
            for number, description in enumerate(descriptions)]
