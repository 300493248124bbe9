"""Methods that run in an interpreter, conda environment or container of their own.

A TOML file, given as `--plugin FILE.toml`, names a command. DefectBench writes what the method may see to a
folder, runs the command with limits, keeps its log, checks what it wrote, and goes on as with any other
method.

What the command finds in {data}, for generators:

    <category>/train/good/0000.png           normal images
    <category>/real/<defect>/image/0000.png  the real third, with mask/0000.png (0 and 255), and
                                             depth/0000.tiff where there is depth
    split.json                               {"resolution": n, "categories": {name: {defect: count}}}

What it leaves in {out}: `{category}/{defect}/image/*` and `mask/*` (or any layout of `bench ingest`), at
least {count} images of the one category and defect it was asked for, of any size.

For detectors {data} also holds `<category>/generated/<defect>/image` and `mask`, and {images} the images to
judge as 0000.png and on; {out} then gets a map a stem (0000.npy, .tiff or .png), or scores.csv (stem,score),
or both.
"""
