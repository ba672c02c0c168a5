-- wrk: asks for /products/1 .. /products/N in turn, each request rendered
-- beforehand. Used where every request shall be a lookup of its own: 64
-- connections asking for one path would join one flight.
--   wrk -s paths.lua URL -- N
local requests = {}
local last = 0

function init(args)
    for id = 1, tonumber(args[1]) do
        requests[id] = wrk.format("GET", "/products/" .. id)
    end
end

function request()
    last = last % #requests + 1
    return requests[last]
end
