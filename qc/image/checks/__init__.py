"""The checks: one file each, found by place. A file is one subject under the decorator `qc.image.registry.check`."""
