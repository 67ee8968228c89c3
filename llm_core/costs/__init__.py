"""What spend tells: calendar spans, forecasts, movers, anomalies, and latency histograms."""
