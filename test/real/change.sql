-- A third process: updates, deletes, upserts, triggers, views, constraints that refuse, vacuum.
pragma foreign_keys = on;
create table log(at integer primary key, what text);
create trigger grown after update of people on city when new.people > old.people * 2 begin
  insert into log(what) values (printf('%s %d -> %d', new.name, old.people, new.people));
end;
create view big as select name, people from city where people > 99990;

update city set people = people * 3 where id % 1000 = 0;
select * from log;
select * from big order by people, name limit 5;
insert into country(id, name) values (1, 'Arcady')
  on conflict(id) do update set name = excluded.name || ' (new)';
insert or ignore into country(name) values ('Utopia'), ('Laputa');
select * from country order by id;
delete from city where founded < 1500;
select changes(), count(*) from city;
update or replace wide set a = 0 where a = 1;
select count(*), sum(d) from wide;
alter table blobs add column extra integer default 7;
alter table blobs rename column kind to sort;
select id, sort, extra from blobs;
update blobs set data = cast(replace(hex(zeroblob(20000)), '00', 'wasm') as blob) where id = 2;
select length(data), substr(data, 79997) from blobs where id = 2;
drop index city_by_country;
reindex;
analyze;
vacuum;
select page_count > 50 from pragma_page_count;
pragma integrity_check;
pragma foreign_key_check;
