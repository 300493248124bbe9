"""The engine behind AUROC, AP, F1, IoU and AUPRO: counts of positives and negatives at every threshold."""
