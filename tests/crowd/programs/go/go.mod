module github.com/forebay/forebay/tests/crowd/programs/go

go 1.24

require github.com/forebay/forebay/bindings/go v0.0.0

replace github.com/forebay/forebay/bindings/go => ../../../../bindings/go
