"""DefectBench: measures generators of industrial defect images, and what their images are worth."""
