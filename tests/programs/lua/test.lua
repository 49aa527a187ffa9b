local squares = {}
for i = 1, 10 do squares[#squares + 1] = i * i end
print(table.concat(squares, " "))
print(string.format("%.6f %s", math.pi, ("abc"):rep(3)))
print(#arg, arg[1])
local function fibonacci(n) return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2) end
print(fibonacci(24))
for word in string.gmatch("one two three", "%a+") do io.write(word, ";") end
print()
os.exit(7)
