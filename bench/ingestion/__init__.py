"""Read what was made elsewhere: folders of generated images, and of detectors' maps and scores."""
