"""Where to cut a model, on which satellites its parts run, and how activations are coded between them.

- `problem`: `Problem`, what is given: `Satellite`, `Link`, `CodecCost`, `Work`.
- `plan`: `Plan`, of `Stage` and `Crossing`, and `Terms`, its delay in parts.
- `search`: `best(problem)`, the plan of least delay, exactly; `Infeasible` where there is none.
- `moving`: `best_of_windows(problem)`, for several chunks over links that change.
- `policies`: what joint plans are compared with; `explain`: what each constraint costs.
"""
