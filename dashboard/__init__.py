"""What managers see: a Streamlit page over the policy service's admin API.

Start it with `python -m dashboard --port 8501`. Pages ask `usage_api` for rows, hand them to pure
functions in `frames`, hand the frames to `figures` and `tables`, and show what comes back.
"""
