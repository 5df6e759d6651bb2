"""Where batches' files are, as Django's STORAGES has it: a folder, or a bucket that speaks S3. Pure."""

from pathlib import Path
from typing import Any

MEGABYTE = 1024 * 1024


def batch_files(folder: Path, bucket: str = "", endpoint: str = "", region: str = "") -> dict[str, Any]:
    """The storage: `folder` unless a bucket is named. `endpoint`: of a server that is not Amazon's own.

    Keys come as boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role.
    """
    if not bucket:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder}}
    options = {
        "bucket_name": bucket,
        "endpoint_url": endpoint or None,
        "region_name": region or None,
        "addressing_style": "path" if endpoint else "auto",
        "default_acl": None,  # the bucket's own: nobody reads a file by its address
        "file_overwrite": True,  # a chunk done again replaces what it wrote
        "max_memory_size": 8 * MEGABYTE,  # beyond it a file that is read is on a disk
    }
    return {"BACKEND": "apps.batches.s3_files.S3Files", "OPTIONS": options}
