"""What anomalies are painted with, by generators and by detectors that make their own: noise and textures."""
