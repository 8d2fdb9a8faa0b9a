-- A fourth process: full-text search, temporary tables, attached and in-memory databases, a big sort.
create virtual table notes using fts5(title, body);
insert into notes values ('kernel', 'a small core that does one thing'),
  ('compiler', 'reads a module and writes code for a machine'), ('engine', 'runs the code of a module');
select title, highlight(notes, 1, '[', ']') from notes where notes match 'module' order by rank, title;
select title from notes where notes match 'code NOT machine' order by title;
select title from notes where notes match 'cod*' order by title;

attach ':memory:' as m;
create table m.numbers as
  with recursive n(i, x) as (select 1, 12345 union all
    select i + 1, (x * 1103515245 + 12345) % 2147483648 from n where i < 20000)
  select i, x from n;
create temp table sorted as select x from m.numbers order by x % 1000, x;
select count(distinct x), sum(x), max(x) from sorted;
select group_concat(x, ' ') from (select x from sorted limit 3);
select x / 500000000 as bucket, count(*) from sorted group by 1 order by 1;
detach m;
select count(*), sum(people) from city where name between 'M' and 'Q';
select name from sqlite_master where type = 'table' and name not like 'notes_%' order by 1;
