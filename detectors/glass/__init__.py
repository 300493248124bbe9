"""GLASS: a discriminator of features, taught with anomalies made in feature space and in the image."""
