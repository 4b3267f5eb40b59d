"""What rt-utils does, timed in its own environment: `python _rt_utils_job.py write|read CT_DIR MASKS.npy RTSTRUCT`."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from rt_utils import RTStructBuilder

action, images, masks_file, target = sys.argv[1:]
masks = np.load(masks_file)
if action == "write":
    builder = RTStructBuilder.create_new(dicom_series_path=images)
    begin = time.process_time()
    for number, mask in enumerate(masks):
        builder.add_roi(mask=np.moveaxis(mask, 0, -1), name=f"roi {number}")
    builder.save(target)
    seconds = time.process_time() - begin
    contours = [c for roi in builder.ds.ROIContourSequence for c in roi.ContourSequence]
    count = sum(len(c.ContourData) for c in contours)
    print(json.dumps({"seconds": seconds, "size": Path(target).stat().st_size, "numbers": count}))
else:
    builder = RTStructBuilder.create_from(dicom_series_path=images, rt_struct_path=target)
    begin = time.process_time()
    read = [np.moveaxis(builder.get_roi_mask_by_name(name), -1, 0) for name in builder.get_roi_names()]
    seconds = time.process_time() - begin
    dice = [float(2 * (a & b).sum() / (a.sum() + b.sum())) for a, b in zip(read, masks, strict=True)]
    print(json.dumps({"seconds": seconds, "dice": min(dice)}))
