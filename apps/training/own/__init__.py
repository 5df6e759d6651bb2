"""A tenant's own model: from a folder of its decisions and labels as arrays to an artifact in the same folder. Knows no
tenant and no store; what it reads was put there for it alone, and is removed by whoever did."""
