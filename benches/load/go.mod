module parley.bench/load

go 1.21
