-- A second process on the same file: joins, common table expressions, windows, functions.
select c.name, count(*), sum(people), round(avg(people), 3)
  from city join country c on c.id = city.country group by c.id order by 3 desc;
select count(*) from city left join country c on c.id = city.country where c.id is null;
select a.name, b.name from city a join city b on a.people = b.people + 1 and a.id < b.id
  order by a.id limit 5;
select name, people from city order by people desc, name limit 5;
select name, people, rank() over (partition by country order by people desc) as r,
       sum(people) over (order by id rows between 2 preceding and current row) as s,
       lag(name, 1, '-') over (order by id) as l,
       ntile(4) over (order by people) as quarter
  from city where id between 100 and 107 order by id;
select founded / 100 as century, count(*), group_concat(distinct country) from
  (select * from city order by country) group by century having count(*) > 450 order by 1;

with recursive fib(n, a, b) as (select 1, 0, 1 union all select n + 1, b, a + b from fib where n < 91)
  select max(n), max(a) from fib;
with recursive
  x(v) as (values (-2.0) union all select v + 0.1 from x where v < 1.0),
  y(v) as (values (-1.0) union all select v + 0.2 from y where v < 1.0),
  m(i, cx, cy, zx, zy) as (
    select 0, x.v, y.v, 0.0, 0.0 from x, y
    union all
    select i + 1, cx, cy, zx * zx - zy * zy + cx, 2.0 * zx * zy + cy from m
     where zx * zx + zy * zy < 4.0 and i < 28),
  p(i, cx, cy) as (select max(i), cx, cy from m group by cx, cy)
select group_concat(line, char(10)) from
  (select group_concat(substr(' .+*#', 1 + min(i / 7, 4), 1), '') as line from p group by cy);

select upper('straße'), length('naïve ☃'), substr('abcdef', -3, 2), replace('banana', 'an', '<>'),
       trim('  x '), instr('haystack', 'st'), hex('€'), unicode('☃'), char(9731), quote('it''s');
select printf('%08.3f|%-6s|%+d|%x|%e|%,d', 3.14159, 'ab', 7, 255, 12345.678, 1234567890);
select 7 / 2, -7 / 2, 7 % -3, 7.0 / 2, 1 << 40, ~5, 9223372036854775807 + 1, 0.1 + 0.2, 1e308 * 10;
select 'a' < 'B', 'a' < 'B' collate nocase, null is null, null = null, 1 in (1, null), 'abc' like 'A_%',
       'abc' glob 'a[b-c]*', case 3 when 1 then 'x' when 3 then 'y' end;
select date('2024-02-29', '+1 year'), strftime('%Y-%j %W', '2023-12-31'), julianday('2000-01-01'),
       unixepoch('2001-09-09 01:46:40'), time('12:00', '-30 minutes');
select json_extract('{"a": [1, {"b": "c"}]}', '$.a[1].b'), json_array(1, 'two', null, 3.5),
       (select group_concat(value) from json_each('[5, 6, 7]'));
select round(sin(1), 12), round(exp(2), 12), sqrt(2), pow(2, 0.5), ceil(-1.5), log(100), mod(17, 5);
select cast('12abc' as integer), cast(3.99 as integer), cast(x'414243' as text), typeof(1.0), abs(-5);
explain query plan select name from city where people > 99000;
