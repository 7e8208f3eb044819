module berth/contrib/consumers/go

go 1.19
