import math, re, json, collections, random, hashlib, struct, string, itertools, functools, decimal, fractions, datetime, textwrap, zlib
random.seed(42)
def fib(n): return n if n < 2 else fib(n-1)+fib(n-2)
print(fib(22))
words = [''.join(random.choices(string.ascii_lowercase, k=random.randint(2,8))) for _ in range(20000)]
c = collections.Counter(w[:2] for w in words); print(c.most_common(5))
print(hashlib.sha256(' '.join(words).encode()).hexdigest(), zlib.crc32(b'abc'))
d = {w:i for i,w in enumerate(words)}; print(len(d), sorted(d.items())[:3])
s = json.dumps({'a':[1,2.5,None,True,{'x':words[:5]}]}, indent=1); print(s, json.loads(s)['a'][1])
print(re.sub(r'(\w)(\w+)', lambda m: m.group(2)+m.group(1), 'the quick brown fox'))
print(decimal.Decimal(1)/decimal.Decimal(7), fractions.Fraction(355,113)**3, 2**521-1)
print([round(math.sin(x/10)*math.exp(-x/7),15) for x in range(10)], math.gamma(7.3), math.fsum([.1]*10), repr(1e308*10), float('1.7976931348623157e308'), 5e-324)
try: 1/0
except ZeroDivisionError as e: print('caught', e)
def rec(n): return rec(n+1)
try: rec(0)
except RecursionError as e: print('rec', str(e)[:40])
print(struct.pack('<dfQ', math.pi, math.e, 2**63).hex())
print(sum(1 for p in itertools.permutations(range(7)) if p[0]<p[-1]))
class A:
    def __init__(s,i): s.i=i
    def __lt__(s,o): return s.i<o.i
print(sorted(A((i*7919)%1009) for i in range(1009))[500].i)
print(datetime.datetime(2024,2,29)+datetime.timedelta(days=366))
import os
if os.path.isdir('/d'):
    with open('/d/x.txt','w') as f: f.write('hello\n'*1000)
    print(os.path.getsize('/d/x.txt'), open('/d/x.txt').read().count('h'), sorted(os.listdir('/d')))
    os.rename('/d/x.txt','/d/y.txt'); os.mkdir('/d/s'); os.rmdir('/d/s'); os.unlink('/d/y.txt')
def sieve(n):
    a=bytearray([1])*(n+1); a[0:2]=b'\0\0'
    for i in range(2,int(n**.5)+1):
        if a[i]: a[i*i::i]=bytes(len(a[i*i::i]))
    return sum(a)
print(sieve(200000))
def nbody(n):
    x=y=z=0.; vx,vy,vz=1.,.5,.25
    for i in range(n):
        r=(x*x+y*y+z*z+.1)**1.5; vx-=x/r*.01; vy-=y/r*.01; vz-=z/r*.01; x+=vx*.01; y+=vy*.01; z+=vz*.01
    return x,y,z
print(nbody(30000))
