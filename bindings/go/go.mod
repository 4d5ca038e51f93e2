module github.com/forebay/forebay/bindings/go

go 1.24
