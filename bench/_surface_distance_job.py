"""What DeepMind's surface-distance does, timed in its own environment: `python _surface_distance_job.py MASKS.npz`."""

import json
import sys
import time

import numpy as np
from scipy import ndimage

# Version 0.1 uses names that its dependencies have dropped since.
vars(np)["Inf"] = np.inf
vars(ndimage).update(filters=ndimage, morphology=ndimage)

from surface_distance import metrics  # noqa: E402

data = np.load(sys.argv[1])
rows = {}
for name in sorted({key.split("/")[0] for key in data.files} - {"spacing"}):
    a, b, times = data[f"{name}/a"], data[f"{name}/b"], []
    for _ in range(int(sys.argv[2])):
        begin = time.process_time()
        found = metrics.compute_surface_distances(a, b, tuple(data["spacing"]))
        dice = metrics.compute_surface_dice_at_tolerance(found, 2.0)
        hausdorff = metrics.compute_robust_hausdorff(found, 95.0)
        means = metrics.compute_average_surface_distance(found)
        times.append(time.process_time() - begin)
    rows[name] = {"seconds": sorted(times)[len(times) // 2], "values": [dice, hausdorff, *map(float, means)]}
print(json.dumps(rows))
