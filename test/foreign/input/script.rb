require 'json'; require 'set'; require 'digest'; require 'strscan'; require 'erb'
def fib(n) = n < 2 ? n : fib(n-1) + fib(n-2)
puts fib(22), RUBY_VERSION
h = Hash.new(0); r = 12345
20000.times { r = (r * 1103515245 + 12345) & 0x7fffffff; h["k#{r % 977}"] += 1 }
p h.size, h.max_by { |k, v| [v, k] }, h.sort.first(3)
s = (1..3000).map { |i| "line #{i} héllo wörld #{i * i}" }.join("\n")
p s.scan(/(\d+)7\b/).size, s.gsub(/w(ö)rld/) { $1.upcase }.bytes.sum, s.encode('UTF-16LE').bytesize
p Digest::SHA256.hexdigest(s) rescue p $!
def deep(n) = n == 0 ? raise("boom") : deep(n - 1)
begin; deep(100); rescue => e; p e.message, e.backtrace.size; end
def inf(n) = inf(n + 1)
begin; inf(0); rescue SystemStackError => e; p e.class; end
p catch(:done) { 10.times { |i| throw :done, i if i == 7 }; :never }
a = 200_000.times.map { |i| "s#{i}" * 3 }; a = a.select.with_index { |_, i| i % 1000 == 0 }; GC.start; p a.size, a.last
p JSON.parse(JSON.generate({ 'a' => [1, 2.5, nil, true, { 'x' => 'é' }] }))
f = Fiber.new { x = 0; loop { Fiber.yield x += 1 } }; p 5.times.map { f.resume }
e = Enumerator.new { |y| a, b = 0, 1; loop { y << a; a, b = b, a + b } }; p e.lazy.select(&:even?).first(8)
p 2**300, 10.0 / 3, Math.sqrt(2), 1e100.to_i, 3.7 % 1, Rational(3, 7)**5, Complex(1, 2)**3, -7 / 2, -7 % 3, 255.to_s(2), [1.1, 2.2].pack('eG').unpack1('H*')
p (1..10).each_slice(3).to_a, [3, 1, 2].sort_by { -_1 }, %w[a b c].zip(1..3).to_h
Point = Struct.new(:x, :y) { def +(o) = Point.new(x + o.x, y + o.y) }; p Point.new(1, 2) + Point.new(3, 4)
case { name: 'x', v: [1, [2, 3]] }
in { name: String => n, v: [Integer => q, [*, w]] }
  p [n, q, w]
end
p ERB.new("<% 3.times do |i| %><%= i %>,<% end %>").result
p Time.at(0).utc.strftime('%F %T'), Comparable.instance_method(:clamp).bind(15).call(1, 10), ObjectSpace.count_objects.key?(:TOTAL)
if Dir.exist?('/d')
  File.write('/d/r.txt', "a\nb\n" * 500); p File.size('/d/r.txt'), File.readlines('/d/r.txt').size, Dir.children('/d').sort
  File.open('/d/r.txt', 'r+') { |io| io.seek(100); io.write('ZZ'); io.rewind; p io.read(104)[98..] }
  File.rename('/d/r.txt', '/d/q.txt'); Dir.mkdir('/d/sub'); Dir.rmdir('/d/sub'); File.delete('/d/q.txt'); p File.exist?('/d/q.txt')
  begin; File.read('/d/none'); rescue => e; p e.class; end
  begin; File.read('/etc/passwd'); rescue => e; p e.class; end
end
m = (0...60).map { |i| (0...60).map { |j| i * j % 7 + 0.5 } }
t = m.transpose; p m.map { |r0| t.map { |c| r0.zip(c).sum { |x, y| x * y } }.sum }.sum
p (2..5000).select { |i| (2..Math.sqrt(i)).none? { |d| i % d == 0 } }.size
